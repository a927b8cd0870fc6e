import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerDaemon } from '../daemon.ts';
import { recordProcess } from '../process.ts';
import { until } from '../until.ts';

/** Debian has these links to /usr. */
const LINKS = ['bin', 'lib', 'lib64', 'sbin'];

/** What a dockerd needs that pulls images and runs no containers. Not --privileged, which some sandboxes cannot give. */
const RIGHTS = ['--cap-add', 'SYS_ADMIN', '--cap-add', 'NET_ADMIN', '--security-opt', 'seccomp=unconfined'];

export interface InnerDocker {
  /** A command inside, which has to succeed. @returns its standard output */
  command(...argv: string[]): Promise<string>;
  /** What the inner dockerd has printed. */
  log(): Promise<string>;
}

export interface InnerDockerInit {
  /** The daemon whose container it is. */
  readonly docker: DockerDaemon;
  /** A directory for what the container is made of. */
  readonly dir: string;
  /** `host:port`, as it is called from inside. */
  readonly mirror: string;
  /** More of these at which it may speak plain HTTP. */
  readonly insecure: readonly string[];
  /** Names that stand for the gateway inside. */
  readonly names: readonly string[];
}

/**
 * A dockerd in a container of another, on the bridge's network: the host's own programs, seen through an image that
 * holds nothing. It ends with the outer daemon.
 */
export async function startDockerInDocker(init: InnerDockerInit): Promise<InnerDocker> {
  const { docker, dir, mirror, insecure, names } = init;
  const context = join(dir, 'inner');
  const etc = join(dir, 'inner-etc');
  await Promise.all([mkdir(join(context, 'tmp'), { recursive: true }), mkdir(etc)]);
  for (const link of LINKS) await symlink(`usr/${link}`, join(context, link));
  await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY . /\n');
  await docker.command('build', '--quiet', '--tag', 'inner', context);
  const settings = {
    'registry-mirrors': [`http://${mirror}`],
    'insecure-registries': [mirror, ...insecure],
    // No containers are run inside.
    ...{ bridge: 'none', iptables: false, ip6tables: false, 'ip-forward': false },
  };
  await writeFile(join(etc, 'daemon.json'), JSON.stringify(settings));
  const id = await docker.command(
    ...['run', '--detach', ...RIGHTS],
    ...names.flatMap((name) => ['--add-host', `${name}:host-gateway`]),
    ...['--volume', '/usr:/usr:ro', '--volume', `${etc}:/etc/docker`, '--volume', '/var/lib/docker'],
    ...['inner', '/usr/sbin/dockerd'],
  );
  const container = id.trim();
  const pid = Number(await docker.command('inspect', '--format', '{{.State.Pid}}', container));
  // Its network namespace has no name by which test/lan/run would find it.
  if (pid > 0) recordProcess(pid);
  const command = (...argv: string[]) => docker.command('exec', container, ...argv);
  const log = () => docker.command('logs', container);
  await until('the inner dockerd answers', () => command('/usr/bin/docker', 'version'), { timeout: 60_000 });
  return { command, log };
}
