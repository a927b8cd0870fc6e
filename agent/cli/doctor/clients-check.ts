import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { isAgentError } from '../../errors.ts';
import { DAEMON_JSON } from '../setup/docker.ts';
import { CLIENTS, type Client, isChanged, type Plan, type Tree, type Wanted } from '../setup/plan.ts';
import { planFor } from '../setup/plans.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Programs whose configuration each is; the first that is there gives the finding its name. */
const PROGRAMS: Readonly<Record<Client, readonly string[]>> = {
  docker: ['dockerd'],
  containerd: ['containerd'],
  podman: ['podman', 'crio', 'buildah', 'skopeo'],
  buildkit: ['buildkitd'],
  k3s: ['k3s'],
};

const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/bin', '/sbin', '/snap/bin'];

/** A client that is installed. */
export interface Installed {
  readonly client: Client;
  /** The program that was found: `skopeo`. */
  readonly program: string;
}

/** The clients below `root`. */
export function installedIn(root: string): Installed[] {
  const isThere = (program: string) => FOLDERS.some((folder) => isExecutable(join(root, folder, program)));
  return CLIENTS.flatMap((client) => {
    const program = PROGRAMS[client].find(isThere);
    return program === undefined ? [] : [{ client, program }];
  });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a client's configuration is as `layerlan setup` would have it. */
export function checkClient(
  { client, program }: Installed,
  others: readonly Installed[],
  wanted: Wanted,
  tree: Tree,
): Finding {
  const advice = `layerlan setup ${client} shows what is missing, --write writes it`;
  let plan: Plan;
  try {
    plan = planFor(client, wanted, tree);
  } catch (error) {
    if (!isAgentError(error)) throw error;
    return warn(program, error.message.replace(/; it was not touched$/, ''), 'see whether it names the mirror');
  }
  const missing = plan.files.filter(isChanged).map(({ path }) => path);
  if (missing.length === 0) return ok(program, `its configuration names the mirror${notesText(client, plan)}`);
  if (isHubSettled(client, plan)) {
    return ok(program, `its configuration names the mirror for Docker Hub; not there: ${missing.join(', ')}`);
  }
  if (client === 'containerd' && others.some((one) => one.client === 'docker')) {
    return ok(program, 'its configuration does not name the mirror, and need not where it serves Docker alone');
  }
  const isPart = missing.length < plan.files.length;
  // What is given on a command line is not looked at, so it is the file that is spoken of.
  return warn(
    program,
    `${isPart ? 'in part: not as it should be' : 'does not name the mirror'}: ${missing.join(', ')}`,
    advice,
  );
}

/** daemon.json is what counts with every Docker; hosts.toml is for other registries, and for one image store. */
function isHubSettled(client: Client, plan: Plan): boolean {
  return client === 'docker' && plan.files.some((file) => file.path === DAEMON_JSON && !isChanged(file));
}

/** What containerd's CRI plugin needs besides is the one note that tells of something missing. */
function notesText(client: Client, { notes }: Plan): string {
  return client === 'containerd' && notes.length > 0 ? `; ${notes.join('; ')}` : '';
}
