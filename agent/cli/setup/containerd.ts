import { planHosts } from './hosts-toml.ts';
import type { Plan, Tree, Wanted } from './plan.ts';
import { parseToml, type Table, tableAt } from './toml.ts';

const CONFIG = '/etc/containerd/config.toml';
export const CONTAINERD_CERTS = '/etc/containerd/certs.d';

/** Where the CRI plugin's registry table stands, by the version of the file's format. */
const REGISTRY_TABLES: Record<number, readonly string[]> = {
  1: ['plugins', 'cri', 'registry'],
  2: ['plugins', 'io.containerd.grpc.v1.cri', 'registry'],
  3: ['plugins', 'io.containerd.cri.v1.images', 'registry'],
};

/** @throws AgentError SETUP_REFUSED */
export function planContainerd(wanted: Wanted, tree: Tree): Plan {
  const files = planHosts(CONTAINERD_CERTS, wanted, tree);
  const config = tree.read(CONFIG);
  const missing = configPathMissing(config === undefined ? undefined : parseToml(CONFIG, config));
  return { files, notes: missing === undefined ? [] : [missing] };
}

/** What CRI (Kubernetes, crictl) needs in config.toml; undefined where it is there. */
export function configPathMissing(config: Table | undefined): string | undefined {
  const version = typeof config?.version === 'number' ? config.version : 1;
  const tables = Object.values(REGISTRY_TABLES).map((keys) => tableAt(config ?? {}, ...keys));
  const isThere = tables.some((table) => {
    const path = table?.config_path;
    return typeof path === 'string' && path.split(':').includes(CONTAINERD_CERTS);
  });
  if (isThere) return undefined;
  const names = config === undefined ? [2, 3] : [version];
  const headers = names.map((one) => `[${header(REGISTRY_TABLES[one] ?? REGISTRY_TABLES[3]!)}]`);
  const where = headers.length === 1 ? headers[0] : `${headers[0]} (containerd 1) or ${headers[1]} (2)`;
  const old = tables.some((table) => Object.keys(tableAt(table ?? {}, 'mirrors') ?? {}).length > 0)
    ? ' and remove registry.mirrors, which containerd does not take beside it,'
    : '';
  return `for CRI (Kubernetes, crictl) set config_path = "${CONTAINERD_CERTS}" under ${where} of ${CONFIG}${old} and restart containerd; nerdctl needs nothing, ctr takes --hosts-dir ${CONTAINERD_CERTS}`;
}

function header(keys: readonly string[]): string {
  return keys.map((key) => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key))).join('.');
}
