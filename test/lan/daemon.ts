import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt } from './commands.ts';
import { createDocker, type Docker } from './docker.ts';
import type { Space } from './network.ts';
import { startProcess } from './process.ts';
import { until } from './until.ts';

/** A real dockerd of its own. */
export interface DockerDaemon extends Docker {
  /** What it has logged. */
  log(): Promise<string>;
  /** Has it read its configuration again. */
  reload(): void;
  stop(): Promise<void>;
}

export interface DockerDaemonInit {
  readonly space: Space;
  /** A directory for its data and sockets; short, for the sockets' sake. */
  readonly dir: string;
  /** A file for what it prints. */
  readonly log: string;
  /** registry-mirrors. @default none */
  readonly mirrors?: readonly string[];
  /** Whether it tells of each request. @default false */
  readonly debug?: boolean;
  /** Whether it goes by its host's /etc/docker/daemon.json; `mirrors` and `debug` mean nothing then. @default false */
  readonly isSystems?: boolean;
  /** Address and prefix of its bridge, docker0, on which containers reach the host. @default no bridge */
  readonly bridge?: string;
}

/** Starts dockerd. @throws Error where it does not answer within a minute */
export async function startDockerDaemon(init: DockerDaemonInit): Promise<DockerDaemon> {
  const { space, dir, log } = init;
  await mkdir(dir, { recursive: true });
  const socket = `unix://${join(dir, 's')}`;
  const configuration = join(dir, 'daemon.json');
  await writeFile(
    configuration,
    JSON.stringify({
      debug: init.debug === true,
      'registry-mirrors': init.mirrors ?? [],
      features: { buildkit: false },
    }),
  );
  const daemon = await startProcess({
    argv: [
      ...[...space.enter, '/usr/sbin/dockerd'],
      ...(init.isSystems === true ? [] : ['--config-file', configuration]),
      ...['--host', socket, '--pidfile', join(dir, 'docker.pid')],
      ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
      ...['--iptables=false', '--ip6tables=false'],
      ...(init.bridge === undefined ? ['--bridge', 'none'] : ['--bip', init.bridge]),
    ],
    stdout: log,
  });
  const docker = createDocker(socket, join(dir, 'client'));
  const ping = ['/usr/bin/docker', '-H', socket, 'version'];
  await until('dockerd answers', async () => (await attempt(ping)).code === 0, { timeout: 60_000 });
  return {
    ...docker,
    log: () => readFile(log, 'utf8'),
    reload: () => daemon.signal('SIGHUP'),
    stop: async () => {
      await daemon.stop();
    },
  };
}
