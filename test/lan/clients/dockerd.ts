import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DockerDaemon, startDockerDaemon } from '../daemon.ts';
import type { Client, ImageName, StartClient } from './client.ts';

/** A dockerd of its own, with the agent in registry-mirrors: it mirrors docker.io alone. */
export const startDockerd: StartClient = async ({ space, dir, log, mirror }) => {
  const docker = await startDockerDaemon({ space, dir, log, mirrors: [`http://${mirror}`], debug: true });
  return clientOf(docker);
};

/** The same dockerd's own `docker build`: an image is pulled by being what another is built from. */
export const startDockerBuild: StartClient = async (init) => {
  const docker = await startDockerDaemon({
    ...{ space: init.space, dir: init.dir, log: init.log },
    ...{ mirrors: [`http://${init.mirror}`], debug: true },
  });
  const context = join(init.dir, 'context');
  await mkdir(context);
  return {
    ...clientOf(docker),
    pull: async (name) => {
      await writeFile(join(context, 'Dockerfile'), `FROM ${shortText(name)}\nLABEL built=here\n`);
      return docker.build(context);
    },
  };
};

export interface SystemDockerd {
  readonly start: StartClient;
  /** As `systemctl reload docker` does. */
  reload(): void;
  /** The mirrors that it goes by. */
  mirrors(): Promise<string[]>;
}

/** A dockerd that goes by /etc/docker/daemon.json of its host; the one that was started last is meant. */
export function systemDockerd(): SystemDockerd {
  let docker: DockerDaemon | undefined;
  const running = () => {
    if (docker === undefined) throw new Error('dockerd was not started');
    return docker;
  };
  return {
    start: async ({ space, dir, log }) => {
      docker = await startDockerDaemon({ space, dir, log, isSystems: true });
      return clientOf(docker);
    },
    reload: () => running().reload(),
    mirrors: async () =>
      JSON.parse(await running().command('info', '--format', '{{json .RegistryConfig.Mirrors}}')) ?? [],
  };
}

function shortText({ repository, tag }: ImageName): string {
  return `${repository}:${tag}`;
}

function clientOf(docker: DockerDaemon): Client {
  return {
    pull: (name) => docker.pull(shortText(name)),
    imageId: (name) => docker.imageId(shortText(name)),
    stop: () => docker.stop(),
  };
}
