import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, must } from '../commands.ts';
import { type Client, type ClientInit, nameText, PULL_TIMEOUT, type StartClient } from './client.ts';

/** podman, buildah and skopeo: all of them pull by containers/image, which goes by registries.conf. */

/** @returns what goes before each command, and its environment */
async function configure({ space, dir, mirror, registries }: ClientInit) {
  await mkdir(dir, { recursive: true });
  const conf = join(dir, 'registries.conf');
  const policy = join(dir, 'policy.json');
  const tables = registries.map(
    (registry) =>
      `[[registry]]\nprefix = "${registry}"\nlocation = "${registry}"\n` +
      `[[registry.mirror]]\nlocation = "${mirror}/${registry}"\ninsecure = true\n`,
  );
  await writeFile(conf, tables.join('\n'));
  await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  return { enter: space.enter, conf, policy, env: { CONTAINERS_REGISTRIES_CONF: conf, XDG_RUNTIME_DIR: dir } };
}

const stop = async () => {};

/** Where podman and buildah keep images; vfs, since overlays do not stack. */
const storage = (dir: string) => [
  ...['--root', join(dir, 'root'), '--runroot', join(dir, 'run')],
  ...['--storage-driver', 'vfs'],
];

export const startPodman: StartClient = async (init) => podmanWith(init, await configure(init));

/** podman that goes by the files below /etc/containers of its host. */
export const startSystemPodman: StartClient = async (init) => {
  const { enter, policy } = await configure(init);
  return podmanWith(init, { enter, policy, env: { XDG_RUNTIME_DIR: init.dir } });
};

interface Surroundings {
  readonly enter: readonly string[];
  readonly policy: string;
  readonly env: Readonly<Record<string, string>>;
}

function podmanWith(init: ClientInit, { enter, policy, env }: Surroundings): Client {
  const podman = [...enter, '/usr/bin/podman', ...storage(init.dir), '--cgroup-manager', 'cgroupfs'];
  return {
    pull: (name) =>
      attempt([...podman, 'pull', '--signature-policy', policy, nameText(name)], { env, timeout: PULL_TIMEOUT }),
    imageId: async (name) =>
      `sha256:${(await must([...podman, 'image', 'inspect', '--format', '{{.Id}}', nameText(name)], { env })).trim()}`,
    stop,
  };
}

export const startBuildah: StartClient = async (init) => {
  const { enter, policy, env } = await configure(init);
  const buildah = [...enter, '/usr/bin/buildah', ...storage(init.dir)];
  return {
    pull: (name) =>
      attempt([...buildah, 'pull', '--signature-policy', policy, nameText(name)], { env, timeout: PULL_TIMEOUT }),
    imageId: async (name) =>
      `sha256:${(await must([...buildah, 'inspect', '--type', 'image', '--format', '{{.FromImageID}}', nameText(name)], { env })).trim()}`,
    stop,
  };
};

export const startSkopeo: StartClient = async (init) => {
  // It does not go by the variable.
  const { enter, conf, policy, env } = await configure(init);
  const copy = join(init.dir, 'copy');
  return {
    pull: async (name) => {
      await rm(copy, { recursive: true, force: true });
      const argv = [
        ...enter,
        '/usr/bin/skopeo',
        ...['--registries-conf', conf, '--policy', policy],
        'copy',
        `docker://${nameText(name)}`,
        `dir:${copy}`,
      ];
      return attempt(argv, { env, timeout: PULL_TIMEOUT });
    },
    imageId: async () => JSON.parse(await readFile(join(copy, 'manifest.json'), 'utf8')).config.digest,
    stop,
  };
};
