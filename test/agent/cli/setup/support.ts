import type { Plan, Tree, Wanted } from '../../../../agent/cli/setup/plan.ts';

/** Files by path, for planning without a disk. */
export function memoryTree(files: Readonly<Record<string, string>> = {}): Tree {
  return {
    read: (path) => files[path],
    list: (path) => [
      ...new Set(
        Object.keys(files)
          .filter((file) => file.startsWith(`${path}/`))
          .map((file) => file.slice(path.length + 1).split('/')[0]!)
          .sort(),
      ),
    ],
  };
}

/** docker.io and ghcr.io through a mirror where it is by default. */
export const WANTED: Wanted = {
  mirror: '127.0.0.1:5055',
  registries: [
    { name: 'docker.io', server: 'https://registry-1.docker.io' },
    { name: 'ghcr.io', server: 'https://ghcr.io' },
  ],
};

/** Docker Hub alone. */
export const HUB: Wanted = { ...WANTED, registries: WANTED.registries.slice(0, 1) };

/** What a plan makes of each file. */
export function contents(plan: Plan): Record<string, string> {
  return Object.fromEntries(plan.files.map(({ path, content }) => [path, content]));
}
