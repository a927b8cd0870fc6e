import { attempt, type CommandResult, must } from './commands.ts';

/** How long a pull may take. Milliseconds: dockerd's own retries wait up to 15 s each. */
const PULL_TIMEOUT = 100_000;

/** Debian's docker client, at one daemon. The first docker on PATH may be another one. */
export interface Docker {
  /** Runs a docker command that has to succeed, and gives its standard output. */
  command(...args: string[]): Promise<string>;
  /** `docker pull`, whatever comes of it. The daemon drops a pull whose client is gone, as `signal` makes it. */
  pull(reference: string, signal?: AbortSignal): Promise<CommandResult>;
  /** `docker build` of a directory, whatever comes of it. */
  build(context: string): Promise<CommandResult>;
  /** The image's id: the digest of its configuration, which covers every layer. */
  imageId(reference: string): Promise<string>;
}

export function createDocker(socket: string, configuration: string): Docker {
  const docker = ['/usr/bin/docker', '--config', configuration, '-H', socket];
  const env = { DOCKER_BUILDKIT: '0', DOCKER_CONTENT_TRUST: '0' };
  const command = (...args: string[]) => must([...docker, ...args], { timeout: PULL_TIMEOUT, env });
  return {
    command,
    pull: (reference, signal) =>
      attempt([...docker, 'pull', reference], { timeout: PULL_TIMEOUT, env, ...(signal && { signal }) }),
    build: (context) => attempt([...docker, 'build', context], { timeout: PULL_TIMEOUT, env }),
    imageId: async (reference) => (await command('image', 'inspect', '--format', '{{.Id}}', reference)).trim(),
  };
}
