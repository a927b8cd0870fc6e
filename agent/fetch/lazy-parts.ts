import { LRUCache } from 'lru-cache';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { isTakenAlone } from './lazy-rule.ts';
import { Places } from './places.ts';
import type { Upstream, UpstreamBlob } from './ports.ts';

/** Parts that are taken from upstream at once: half of what its client connects to one origin, so that pulls go on. */
const MAX_AT_ONCE = 8;

/** How long a client may leave a piece before its part makes room for another. Milliseconds. */
const CLIENT_PATIENCE = 10_000;

/** Blobs of which it is remembered how much was taken in parts. */
const MAX_BLOBS = 1024;

/** A part of a blob that is not here. */
export interface LazyPart {
  readonly repository: Repository;
  readonly digest: Digest;
  /** Of the whole blob. Bytes. */
  readonly size: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * Parts of blobs that are not here, straight from upstream by Range. No digest speaks for a part, so that nothing of it
 * is kept or given to peers.
 */
export class LazyParts {
  readonly #upstream: Upstream;
  readonly #stopped: AbortSignal;
  readonly #places = new Places(MAX_AT_ONCE);
  readonly #taken = new LRUCache<Digest, number>({ max: MAX_BLOBS });

  /** @param stopped ends everything */
  constructor(upstream: Upstream, stopped: AbortSignal) {
    this.#upstream = upstream;
    this.#stopped = stopped;
  }

  /** Whether this part is better taken alone than with the rest of its blob. */
  suits({ digest, size, start, end }: LazyPart): boolean {
    return isTakenAlone({ size, start, end, taken: this.#taken.get(digest) ?? 0 });
  }

  /**
   * The part's bytes, as they come. A client that leaves a piece lying lets go of the connection, and gets the rest by
   * another.
   * @throws AgentError UPSTREAM_… or BLOB_UNKNOWN; UPSTREAM_FAILED also where the registry gives no parts, or has
   *   another size for the blob
   */
  async *read(part: LazyPart, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const either = AbortSignal.any([signal, this.#stopped]);
    for (let position = part.start; position < part.end; ) {
      const from = position;
      for await (const piece of this.#stretch({ ...part, start: position }, either)) {
        position += piece.length;
        this.#taken.set(part.digest, (this.#taken.get(part.digest) ?? 0) + piece.length);
        yield piece;
      }
      if (position === from) throw new AgentError('UPSTREAM_FAILED', `upstream sent nothing of ${part.digest}`);
    }
  }

  /** As much of the part as comes by one request, and as its client takes without a pause. */
  async *#stretch(part: LazyPart, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const leave = await this.#places.take(signal);
    const over = new AbortController();
    let left = part.end - part.start;
    try {
      const within = AbortSignal.any([signal, over.signal]);
      const blob = await this.#upstream.getBlob(part.repository, part.digest, part.start, within, part.end);
      check(blob, part);
      for await (const piece of blob.body) {
        const bytes = piece.subarray(0, left);
        left -= bytes.length;
        const timer = setTimeout(() => {
          over.abort();
          leave();
        }, CLIENT_PATIENCE);
        try {
          yield bytes;
        } finally {
          clearTimeout(timer);
        }
        // A registry may send on to the blob's end, whatever was asked for.
        if (left === 0 || over.signal.aborted) return;
      }
    } finally {
      over.abort();
      leave();
    }
  }
}

function check({ size, isRanged }: UpstreamBlob, part: LazyPart): void {
  if (!isRanged) throw new AgentError('UPSTREAM_FAILED', `upstream gives no parts of ${part.digest}`);
  if (size === undefined || size === part.size) return;
  throw new AgentError('UPSTREAM_FAILED', `upstream has ${size} bytes for ${part.digest}, not ${part.size}`);
}
