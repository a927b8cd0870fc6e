import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isSeq, parseDocument } from 'yaml';
import { type Plan, refused, type Tree, type Wanted } from './plan.ts';

export const K3S_FOLDER = '/etc/rancher/k3s';
const PATH = `${K3S_FOLDER}/registries.yaml`;

/** k3s's name for every registry that has no entry of its own. */
const WILDCARD = '*';

/** @throws AgentError SETUP_REFUSED */
export function planK3s({ mirror, registries }: Wanted, tree: Tree): Plan {
  const before = tree.read(PATH);
  const names = registries.map(({ name }) => name);
  const content = withEndpoints(before ?? '', names, `http://${mirror}`);
  const files = [{ path: PATH, before, content }];
  return content === before
    ? { files, notes: [] }
    : { files, restart: 'systemctl restart k3s (k3s-agent, on a node that is no server)', notes: [] };
}

/** registries.yaml with `url` as each registry's first endpoint. Comments stay. */
function withEndpoints(text: string, names: readonly string[], url: string): string {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined)
    throw refused(PATH, `is not YAML (${problem.message.split('\n', 1)[0]?.replace(/:$/, '')})`);
  const byHand = `mirrors: {${names.map((name) => `"${name}": {endpoint: ["${url}"]}`).join(', ')}}`;
  let expected: unknown;
  let isSame: boolean;
  try {
    const old: unknown = document.toJS();
    expected = expectedTree(old, names, url);
    isSame = isDeepStrictEqual(old, expected);
    if (!isSame) for (const name of names) add(document, name, url);
  } catch (error) {
    if (error instanceof Error && error.name === 'AgentError') throw error;
    throw refused(PATH, `is written in a way that cannot be added to; add by hand: ${byHand}`);
  }
  if (isSame) return text;
  // Long lines stay as they are; what an alias or an anchor did elsewhere is found here.
  const result = document.toString({ lineWidth: 0 });
  if (isDeepStrictEqual(parseDocument(result).toJS(), expected)) return result;
  throw refused(PATH, `is written in a way that cannot be added to; add by hand: ${byHand}`);
}

type Tree_ = Record<string, unknown>;

/** What the file should say, as plain values. */
function expectedTree(old: unknown, names: readonly string[], url: string): Tree_ {
  const top = mapOr(old, 'is no map');
  const mirrors = { ...mapOr(top.mirrors, 'has a mirrors that is no map') };
  for (const name of names) {
    if (!Object.hasOwn(mirrors, name) && Object.hasOwn(mirrors, WILDCARD)) {
      const why = `has a mirror for "*", whose place an entry for ${name} alone would take`;
      throw refused(PATH, `${why}; add to it by hand: ${url}`);
    }
    const mirror = mapOr(Object.hasOwn(mirrors, name) ? mirrors[name] : {}, `has mirrors for ${name} that are no map`);
    const endpoints = mirror.endpoint ?? [];
    if (!Array.isArray(endpoints)) throw refused(PATH, `has an endpoint of ${name} that is no list`);
    mirrors[name] = endpoints.includes(url) ? mirror : { ...mirror, endpoint: [url, ...endpoints] };
  }
  return { ...top, mirrors };
}

function mapOr(value: unknown, problem: string): Tree_ {
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw refused(PATH, problem);
  return value as Tree_;
}

function add(document: Document, name: string, url: string): void {
  const endpoints = document.getIn(['mirrors', name, 'endpoint']);
  if (isSeq(endpoints)) {
    if (!(endpoints.toJS(document) as unknown[]).includes(url)) endpoints.items.unshift(document.createNode(url));
    return;
  }
  // A section whose keys are all commented out is null, and nothing can be set within it.
  for (const path of [[], ['mirrors'], ['mirrors', name]]) {
    const there = path.length === 0 ? document.contents : document.getIn(path);
    if (isMap(there)) continue;
    if (path.length === 0) document.contents = document.createNode({});
    else document.setIn(path, document.createNode({}));
  }
  document.setIn(['mirrors', name, 'endpoint'], document.createNode([url]));
}
