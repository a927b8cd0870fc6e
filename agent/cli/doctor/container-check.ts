import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from '../../address.ts';
import { type Finding, ok, warn } from './finding.ts';
import type { Process, Processes } from './processes.ts';

const NAME = 'container';

/** Files that Docker and podman put into each container. */
const MARKS = ['/.dockerenv', '/run/.containerenv'];

/** Names that runtimes give the control groups of containers. */
const CGROUP = /docker|kubepods|libpod|containerd|\blxc\b/;

/** Daemons that ask the mirror themselves; their names as the kernel keeps them. */
const DAEMONS = ['dockerd', 'containerd', 'buildkitd', 'crio', 'k3s-server', 'k3s-agent'];

/** What says that this process is in a container; undefined where nothing does. */
export function containerMark(root: string): string | undefined {
  const mark = MARKS.find((path) => existsSync(join(root, path)));
  if (mark !== undefined) return mark;
  try {
    return CGROUP.test(readFileSync(join(root, '/proc/1/cgroup'), 'utf8')) ? '/proc/1/cgroup' : undefined;
  } catch {
    return undefined;
  }
}

/** Clients on a network that is not ours: their 127.0.0.1 is another. */
export function clientsElsewhere(processes: Processes): Process[] {
  const here = processes.networkOf();
  if (here === undefined) return [];
  return processes.named(DAEMONS).filter((one) => {
    const network = processes.networkOf(one);
    return network !== undefined && network !== here;
  });
}

/** @param mirrorHosts the hosts of `mirror.listen` */
export function judgeContainers(
  mark: string | undefined,
  elsewhere: readonly Process[],
  mirrorHosts: readonly string[],
): Finding[] {
  const isLocal = mirrorHosts.every(isLoopback);
  const findings: Finding[] = [];
  if (mark !== undefined && isLocal) {
    findings.push(
      warn(
        NAME,
        `this is a container (${mark}), and the mirror listens on loopback alone`,
        'run it with the host’s network (--network host): else clients of the host do not reach it, nor mDNS the LAN',
      ),
    );
  }
  if (elsewhere.length > 0) {
    const names = elsewhere.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
    const what = `${names}: on a network of its own, where 127.0.0.1 is not this host’s`;
    const advice = 'let the mirror also listen at an address that it reaches (mirror.listen) and give it that one';
    findings.push(isLocal ? warn(NAME, what, advice) : ok(NAME, what));
  }
  if (findings.length > 0) return findings;
  return [ok(NAME, mark === undefined ? 'nothing says that this is one' : `this is one (${mark})`)];
}
