import { bytesOf } from '../../test/support/content.ts';
import { connected, startHost } from '../../test/support/host.ts';
import { startHostilePeer } from '../../test/support/hostile-peer.ts';
import { startUpstreamRegistry } from '../../test/support/upstream-registry.ts';
import { pullAndTell, tell } from './told.ts';

const MIB = 1024 * 1024;
const LAYERS = [24 * MIB, 9 * MIB, 300_000];

/**
 * A host whose only neighbour says it holds the image and flips a bit in every chunk it sends.
 * @returns whether a chunk was refused, its sender named, and every byte of the pull right
 */
export async function corrupted(): Promise<boolean> {
  const upstream = await startUpstreamRegistry();
  const image = upstream.addImage('library/first', { layers: LAYERS });
  const blobs = [...image.blobs.values()].map(bytesOf);
  const liar = await startHostilePeer({ listen: ['/ip4/127.0.0.66/tcp/0'], blobs, behaviour: 'flip' });
  const host = await startHost({ address: '127.0.0.2', upstream: upstream.url, peers: liar.addresses });
  try {
    await connected(host, 1);
    console.log(`A peer that damages what it sends: ${liar.peerId}\n`);
    const told = await pullAndTell('host 1', host, 'library/first');
    tell([told]);
    const refused = (await host.agent.metrics.refusedChunks.get()).values.reduce((sum, { value }) => sum + value, 0);
    const warnings = host.log.filter((line) => Number(line.level) >= 40 && line.peer === liar.peerId);
    console.log(`\nDamaged chunks refused: ${refused}. What the host's log says of it:`);
    for (const { msg, reason, peer, address } of warnings)
      console.log(`  ${msg}: ${reason ?? `${peer} at ${address}`}`);
    const { peers } = await host.agent.status();
    console.log(`The peer is now ${peers.find((peer) => peer.id === liar.peerId)?.state}.`);
    console.log(`The pull is ${told.matches ? 'right: every digest is the one asked for' : 'WRONG'}.`);
    return refused > 0 && warnings.length > 0 && told.matches;
  } finally {
    await host.stop();
    await liar.stop();
    await upstream.close();
  }
}
