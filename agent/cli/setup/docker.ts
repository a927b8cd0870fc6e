import { DEFAULT_REGISTRY } from '../../oci/reference.ts';
import { withMirror } from './daemon-json.ts';
import { planHosts } from './hosts-toml.ts';
import { isChanged, type Plan, type PlannedFile, type Tree, type Wanted } from './plan.ts';

export const DOCKER_FOLDER = '/etc/docker';
export const DAEMON_JSON = `${DOCKER_FOLDER}/daemon.json`;
export const DOCKER_CERTS = `${DOCKER_FOLDER}/certs.d`;

/** The first Docker that reads hosts.toml. */
const FIRST_WITH_HOSTS = 28;

/**
 * Docker Hub by daemon.json, whatever the version and the image store; other registries by hosts.toml, which Docker
 * reads from 28.0 on, with the containerd image store.
 * @throws AgentError SETUP_REFUSED
 */
export function planDocker(wanted: Wanted, tree: Tree): Plan {
  const isHub = wanted.registries.some(({ name }) => name === DEFAULT_REGISTRY);
  const daemon = isHub ? [planDaemonJson(wanted, tree)] : [];
  const readsHosts = wanted.version !== undefined && wanted.version >= FIRST_WITH_HOSTS;
  const hosts = readsHosts ? planHosts(DOCKER_CERTS, wanted, tree) : [];
  return {
    files: [...daemon, ...hosts],
    // A reload is enough for daemon.json, and hosts.toml is read at each pull.
    restart: daemon.some(isChanged) ? 'systemctl reload docker' : undefined,
    notes: notesFor(wanted, readsHosts),
  };
}

function planDaemonJson({ mirror }: Wanted, tree: Tree): PlannedFile {
  const before = tree.read(DAEMON_JSON);
  return { path: DAEMON_JSON, before, content: withMirror(DAEMON_JSON, before, `http://${mirror}`) };
}

function notesFor({ registries, version }: Wanted, readsHosts: boolean): string[] {
  if (readsHosts) {
    return ['Docker reads hosts.toml with the containerd image store only, the default of fresh installs from 29 on'];
  }
  if (version === undefined) {
    const why = 'from 28 on it can mirror other registries than Docker Hub';
    return [`the version of Docker was not found out; name it with --client-version, since ${why}`];
  }
  const others = registries.map(({ name }) => name).filter((name) => name !== DEFAULT_REGISTRY);
  if (others.length === 0) return [];
  return [`Docker before 28 mirrors Docker Hub alone: ${others.join(', ')} will not come through the agent`];
}
