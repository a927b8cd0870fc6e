import { chunkLength, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';
import { MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { withDeadline } from './deadline.ts';
import type { FetchComponents } from './init.ts';
import { mediaTypeOf } from './media-type.ts';
import type { Holder } from './ports.ts';
import { digestOf, type VerifiedManifest } from './verified-manifest.ts';

/** How long one holder may take to send a manifest: it is small, and clients wait 30 s in all. Milliseconds. */
const SEND_DEADLINE = 2_000;

/** Takes one manifest from whoever on the LAN holds it. Who fails is not asked again; who is busy is. */
export class ManifestHolders {
  readonly #components: FetchComponents;
  readonly #digest: Digest;
  readonly #until: number;
  readonly #failed = new Set<string>();

  /** @param until when no holder may be waited for any more. performance.now() */
  constructor(components: FetchComponents, digest: Digest, until: number) {
    this.#components = components;
    this.#digest = digest;
    this.#until = until;
  }

  /**
   * The first holder's bytes that match; who sends others has lied. undefined where there is none, `busy` where there is
   * but it serves others just now.
   * @param patience how long holders are looked for: one that answered in time may take longer to send. Milliseconds
   * @throws the reason of `signal`
   */
  async take(patience: number, signal: AbortSignal): Promise<VerifiedManifest | 'busy' | undefined> {
    const { swarm, metrics, logger } = this.#components;
    if (!swarm.hasNeighbours) return undefined;
    const digest = this.#digest;
    let isBusy = false;
    for await (const holder of swarm.holders(
      digest,
      AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(patience))]),
    )) {
      if (performance.now() >= this.#until) break;
      if (holder.size > MAX_MANIFEST_SIZE || this.#failed.has(holder.peer)) continue;
      const bytes = await this.#whole(holder, signal);
      if (bytes === 'busy') isBusy = true;
      else this.#failed.add(holder.peer);
      if (bytes === undefined || bytes === 'busy') continue;
      const mediaType = digestOf(digest, bytes) === digest ? mediaTypeOf(bytes) : undefined;
      if (mediaType === undefined) {
        swarm.strike(holder.peer, 'lied');
        metrics.refusedChunks.inc({ source: 'peer' });
        logger.warn({ digest, peer: holder.peer, address: holder.address }, 'peer sent a false manifest');
        continue;
      }
      metrics.peerBytes.inc(bytes.length);
      logger.info({ digest, size: bytes.length, from: { [holder.peer]: bytes.length } }, 'manifest fetched');
      return { digest, mediaType, bytes, source: 'peer' };
    }
    signal.throwIfAborted();
    return isBusy ? 'busy' : undefined;
  }

  async #whole(holder: Holder, signal: AbortSignal): Promise<Uint8Array | 'busy' | undefined> {
    const { swarm, download } = this.#components;
    const layout = layoutOf(holder.size);
    const pieces: Uint8Array[] = [];
    const heldBack = () => download?.held ?? 0;
    const before = heldBack();
    const left = this.#until - performance.now();
    try {
      await withDeadline(signal, Math.min(SEND_DEADLINE, left), 'a manifest', async (inner) => {
        for (let index = 0; index < layout.count; index++) {
          pieces.push((await holder.chunk(index, chunkLength(layout, index), inner)).bytes);
        }
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!isAgentError(error)) throw error;
      if (isAgentError(error, 'PEER_BUSY')) return 'busy';
      // A limit of our own may be why it is late, or too little time that was left: then nobody is blamed.
      const isTheirs = heldBack() === before && left >= SEND_DEADLINE;
      if (isTheirs && isAgentError(error, 'PEER_STALLED')) swarm.strike(holder.peer, 'stalled');
      if (isAgentError(error, 'PEER_MISSING')) swarm.strike(holder.peer, 'missing');
      return undefined;
    }
    return Buffer.concat(pieces);
  }
}
