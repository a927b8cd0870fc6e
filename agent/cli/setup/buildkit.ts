import { type Plan, refused, type Tree, type Wanted } from './plan.ts';
import { appended, parseToml, quoted, type Table, tableAt, verified } from './toml.ts';

export const BUILDKIT_FOLDER = '/etc/buildkit';
const PATH = `${BUILDKIT_FOLDER}/buildkitd.toml`;

/**
 * Only tables that are not there are added: a registry that has one may have mirrors of its own, whose order is the
 * operator's.
 * @throws AgentError SETUP_REFUSED
 */
export function planBuildkit({ mirror, registries }: Wanted, tree: Tree): Plan {
  const before = tree.read(PATH);
  const config = parseToml(PATH, before ?? '');
  const missing: Table = {};
  for (const { name } of registries) {
    const table = tableAt(config, 'registry', name);
    const mirrors = table?.mirrors;
    if (table === undefined) missing[name] = { mirrors: [mirror] };
    else if (!Array.isArray(mirrors) || !mirrors.includes(mirror)) {
      throw refused(PATH, `has a [registry.${quoted(name)}] of its own; add to it by hand: mirrors = ["${mirror}"]`);
    }
  }
  const own = tableAt(config, 'registry', mirror);
  if (own === undefined) missing[mirror] = { http: true };
  else if (own.http !== true) {
    throw refused(PATH, `has a [registry.${quoted(mirror)}] of its own; add to it by hand: http = true`);
  }
  const content = Object.keys(missing).length === 0 ? (before ?? '') : withTables(before ?? '', config, missing);
  const notes = ['a buildkitd in a container has a loopback of its own: run it with the host’s network'];
  if (content === before) return { files: [{ path: PATH, before, content }], notes };
  return { files: [{ path: PATH, before, content }], restart: 'systemctl restart buildkit', notes };
}

function withTables(text: string, config: Table, missing: Table): string {
  const addition = Object.entries(missing)
    .map(([name, table]) => {
      const lines = Object.entries(table as Table).map(([key, value]) => `  ${key} = ${JSON.stringify(value)}\n`);
      return `[registry.${quoted(name)}]\n${lines.join('')}`;
    })
    .join('\n');
  const expected = { ...config, registry: { ...tableAt(config, 'registry'), ...missing } };
  return verified(PATH, appended(text, addition), expected, addition.trim().replace(/\s*\n\s*/g, ' '));
}
