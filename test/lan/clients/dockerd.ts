import { startDockerDaemon } from '../daemon.ts';
import type { ImageName, StartClient } from './client.ts';

/** A dockerd of its own, with the agent in registry-mirrors: it mirrors docker.io alone. */
export const startDockerd: StartClient = async ({ space, dir, log, mirror }) => {
  const docker = await startDockerDaemon({ space, dir, log, mirrors: [`http://${mirror}`], debug: true });
  const short = ({ repository, tag }: ImageName) => `${repository}:${tag}`;
  return {
    pull: (name) => docker.pull(short(name)),
    imageId: (name) => docker.imageId(short(name)),
    stop: () => docker.stop(),
  };
};
