import { type Plan, refused, type Tree, type Wanted } from './plan.ts';
import { appended, isTable, parseToml, quoted, type Table, verified } from './toml.ts';

/** Ours among the drop-in files of podman, buildah, skopeo and CRI-O. */
const FILE = '50-layerlan.conf';

/** Where the system's or a user's registries.conf and its drop-in files lie (containers-registries.conf.d(5)). */
function folderOf(home: string | undefined): string {
  return home === undefined ? '/etc/containers' : `${home}/.config/containers`;
}

/** The directory of drop-in files that setup writes to. */
export function dropInFolder(home: string | undefined): string {
  return `${folderOf(home)}/registries.conf.d`;
}

/**
 * A drop-in file. An entry for a registry takes the place of an earlier one with the same prefix, mirrors and all, so
 * nothing is written for a registry that has an entry elsewhere.
 * @throws AgentError SETUP_REFUSED
 */
export function planPodman(wanted: Wanted, tree: Tree): Plan {
  const path = `${dropInFolder(wanted.home)}/${FILE}`;
  const before = tree.read(path);
  const config = parseToml(path, before ?? '');
  const elsewhere = filesBeside(wanted.home, tree).filter((other) => other !== path);
  const settled = new Map<string, boolean>();
  for (const file of [...elsewhere, path]) {
    for (const entry of entriesOf(parseToml(file, tree.read(file) ?? ''))) {
      const registry = wanted.registries.find(({ name }) => name === prefixOf(entry));
      if (registry === undefined) continue;
      const location = `${wanted.mirror}/${registry.name}`;
      if (!hasMirror(entry, location)) {
        const why = `has a [[registry]] of its own for ${registry.name}`;
        throw refused(file, `${why}; add below it by hand: [[registry.mirror]] ${mirrorLines(location).join(' ')}`);
      }
      settled.set(registry.name, true);
    }
  }
  const missing = wanted.registries.filter(({ name }) => !settled.has(name));
  const notes = ['podman, buildah, skopeo and CRI-O read this file alike'];
  if (missing.length === 0) {
    return { files: before === undefined ? [] : [{ path, before, content: before }], notes };
  }
  const addition = missing.map(({ name }) => entryText(name, `${wanted.mirror}/${name}`)).join('\n');
  const added = missing.map(({ name }) => entry(name, `${wanted.mirror}/${name}`));
  const expected = { ...config, registry: [...entriesOf(config), ...added] };
  const byHand = addition.trim().replace(/\s*\n\s*/g, ' ');
  return {
    files: [{ path, before, content: verified(path, appended(before ?? '', addition), expected, byHand) }],
    notes,
  };
}

/** Every file that counts: where a user has a registries.conf, the system's do not. */
function filesBeside(home: string | undefined, tree: Tree): string[] {
  const dropIns = (folder: string) =>
    tree
      .list(folder)
      .filter((name) => name.endsWith('.conf'))
      .map((name) => `${folder}/${name}`);
  const own = home === undefined ? undefined : `${folderOf(home)}/registries.conf`;
  if (own !== undefined && tree.read(own) !== undefined) return [own, ...dropIns(dropInFolder(home))];
  const system = [`${folderOf(undefined)}/registries.conf`, ...dropIns(dropInFolder(undefined))];
  return home === undefined ? system : [...system, ...dropIns(dropInFolder(home))];
}

function entriesOf(config: Table): Table[] {
  return Array.isArray(config.registry) ? config.registry.filter(isTable) : [];
}

function prefixOf(entry: Table): unknown {
  return typeof entry.prefix === 'string' && entry.prefix !== '' ? entry.prefix : entry.location;
}

function hasMirror(entry: Table, location: string): boolean {
  const mirrors = Array.isArray(entry.mirror) ? entry.mirror.filter(isTable) : [];
  return mirrors.some((mirror) => mirror.location === location && mirror.insecure === true);
}

function entry(name: string, location: string): Table {
  return { prefix: name, location: name, mirror: [{ location, insecure: true }] };
}

function entryText(name: string, location: string): string {
  const head = `[[registry]]\nprefix = ${quoted(name)}\nlocation = ${quoted(name)}\n`;
  return `${head}\n[[registry.mirror]]\n${mirrorLines(location).join('\n')}\n`;
}

function mirrorLines(location: string): string[] {
  return [`location = ${quoted(location)}`, 'insecure = true'];
}
