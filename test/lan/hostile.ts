import { fileURLToPath } from 'node:url';
import type { Image } from './image.ts';
import { registryFile } from './image.ts';
import { type Host, type Lab, untilConnectedTo } from './lab.ts';

const PROGRAM = fileURLToPath(new URL('../support/hostile-peer.ts', import.meta.url));

/**
 * A peer that joins like an agent, says that it holds the image's blobs, and misbehaves as soon as it is asked for one.
 * @returns its peer id, once `victim` is connected to it
 */
export async function addHostilePeer(lab: Lab, behaviour: string, image: Image, victim: Host): Promise<string> {
  const { greeting } = await lab.addStranger((address) => [
    process.execPath,
    PROGRAM,
    ...['--behaviour', behaviour],
    ...['--listen', `/ip4/${address}/tcp/4055`],
    ...['--dial', `/ip4/${victim.space.address}/tcp/4055`],
    ...image.blobs.flatMap(({ digest }) => ['--file', registryFile(digest)]),
  ]);
  const { peerId } = JSON.parse(greeting);
  await untilConnectedTo(victim.agent, peerId);
  return peerId;
}
