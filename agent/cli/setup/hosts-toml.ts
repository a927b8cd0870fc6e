import { type MirroredRegistry, type PlannedFile, refused, type Tree, type Wanted } from './plan.ts';
import { appended, isTable, parseToml, quoted, type Table, tableAt, verified } from './toml.ts';

/** Used for every registry that has no directory of its own (containerd's docs/hosts.md). */
const DEFAULT_FOLDER = '_default';

/** Certificates as Docker lays them out: they count only as long as there is no hosts.toml beside them. */
const CERTIFICATE = /\.(?:crt|cert|key)$/;

const CAPABILITIES = ['pull', 'resolve'];

/**
 * A hosts.toml for each registry under `folder`, in the form that containerd and Docker from 28 on read.
 * @throws AgentError SETUP_REFUSED
 */
export function planHosts(folder: string, wanted: Wanted, tree: Tree): PlannedFile[] {
  const url = `http://${wanted.mirror}`;
  const fallback = `${folder}/${DEFAULT_FOLDER}/hosts.toml`;
  const default_ = tree.read(fallback);
  const isDefault = default_ !== undefined && hasHost(parseToml(fallback, default_), url);
  const files = wanted.registries.map((registry) => {
    const path = `${folder}/${registry.name}/hosts.toml`;
    const before = tree.read(path);
    if (before !== undefined) return { path, before, content: withHost(path, before, url) };
    const beside = tree.list(`${folder}/${registry.name}`);
    if (beside.length === 0 && default_ !== undefined) {
      if (isDefault) return { path: fallback, before: default_, content: default_ };
      const why = `is there for every registry, and a file for ${registry.name} alone would take its place`;
      throw refused(fallback, `${why}; add by hand: ${oneLine(hostTable(url))}`);
    }
    if (beside.some((name) => CERTIFICATE.test(name))) {
      const why = 'holds certificates, which would no longer count beside a hosts.toml';
      throw refused(`${folder}/${registry.name}`, `${why}; write one by hand that names them (ca, client)`);
    }
    return { path, before, content: hostsToml(registry, url) };
  });
  return [...new Map(files.map((file) => [file.path, file])).values()];
}

function hostsToml({ server }: MirroredRegistry, url: string): string {
  return `server = ${quoted(server)}\n\n${hostTable(url)}`;
}

function hostTable(url: string): string {
  return `[host.${quoted(url)}]\n  capabilities = ${JSON.stringify(CAPABILITIES).replace(',', ', ')}\n`;
}

/** The first header of a table, with the comment right above it: what stands before belongs to the file as a whole. */
const FIRST_HEADER = /^(?:[ \t]*#[^\n]*\n)*[ \t]*\[/m;

/** Hosts are asked in the order in which they stand, so ours comes before those that are there. */
function withHost(path: string, text: string, url: string): string {
  const table = parseToml(path, text);
  if (hasHost(table, url)) return text;
  const at = FIRST_HEADER.exec(text)?.index;
  const head = at === undefined ? text : text.slice(0, at);
  const tail = at === undefined ? '' : `\n${text.slice(at)}`;
  const expected = { ...table, host: { ...tableAt(table, 'host'), [url]: { capabilities: CAPABILITIES } } };
  return verified(path, appended(head, hostTable(url)) + tail, expected, oneLine(hostTable(url)));
}

function hasHost(table: Table, url: string): boolean {
  return Object.entries(tableAt(table, 'host') ?? {}).some(
    ([host, value]) => host.replace(/\/+$/, '') === url && isTable(value),
  );
}

function oneLine(toml: string): string {
  return toml.trim().replace(/\s*\n\s*/g, ' ');
}
