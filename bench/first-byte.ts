import type { BlobDescriptor } from '../test/support/upstream-image.ts';
import { drainHere, wholly } from './client.ts';
import { startLan } from './lan.ts';
import { median, table } from './table.ts';

const SIZE = 8 * 1024 * 1024;
const ROUNDS = 80;
/**
 * Blobs before those that count: they prove the peer, and what a process pays for its first pulls, above all the compiling
 * of its code, an agent pays once in weeks.
 */
const WARMING = 200;
const WARMING_SIZE = 2 * 1024 * 1024;
/** ms */
const SETTLED = 700;

/**
 * How long a client waits for the first byte of a blob that a peer holds and the agent does not, in a fleet with a network
 * key; beside it, of a blob that the agent holds itself.
 */
export async function firstByte() {
  const lan = await startLan({ withKey: true });
  try {
    const holder = await lan.agent(1);
    const taker = await lan.agent(2);
    const ours: number[] = [];
    const held: number[] = [];
    const warming = Array.from({ length: WARMING }, () => lan.image(WARMING_SIZE));
    for (const { layers } of warming) await drainWhole(holder.url((layers[0] as BlobDescriptor).digest), WARMING_SIZE);
    await settle();
    for (const { manifest, layers } of warming) {
      await drainWhole(taker.manifestUrl(manifest.digest), manifest.bytes.length);
      await drainWhole(taker.url((layers[0] as BlobDescriptor).digest), WARMING_SIZE);
    }
    for (let round = 0; round < ROUNDS; round++) {
      const { manifest, layers } = lan.image(SIZE);
      const { digest } = layers[0] as BlobDescriptor;
      await drainWhole(holder.url(digest), SIZE);
      // As a client does it: what the manifest says of a layer need not be asked again.
      await drainWhole(taker.manifestUrl(manifest.digest), manifest.bytes.length);
      // What a neighbour holds is told within 50 ms; for 250 more it counts as one that takes the blob, too.
      await settle();
      lan.upstream.forget();
      const { firstByteMs } = await drainWhole(taker.url(digest), SIZE);
      if (lan.upstream.blobGets() > 0) throw new Error('the blob did not come from the peer');
      const again = await drainWhole(taker.url(digest), SIZE);
      ours.push(firstByteMs);
      held.push(again.firstByteMs);
    }
    const row = (name: string, times: number[]) => {
      const sorted = times.toSorted((a, b) => a - b);
      return [name, median(times).toFixed(1), (sorted[Math.floor(sorted.length * 0.9)] as number).toFixed(1)];
    };
    console.log(
      table(
        ['first byte of 8 MiB', 'median ms', 'p90 ms'],
        [row('a peer holds it, network key', ours), row('the agent holds it', held)],
      ),
    );
    return { ours, held };
  } finally {
    await lan.close();
  }
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLED));

/** By a client in this process: it is warm, as dockerd is, and so is its connection. */
const drainWhole = async (url: string, size: number) => wholly(url, size, await drainHere(url, { openFor: 20 }));
