import { createHash } from 'node:crypto';
import { type ChunkLayout, chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { FetchInit } from './init.ts';
import { Places } from './places.ts';
import type { Proven } from './proven.ts';
import type { Piece } from './readers.ts';
import { UnstoredHolders } from './unstored-holders.ts';
import { isAway } from './verified-manifest.ts';
import type { World } from './worlds.ts';

/** Blobs that are taken past the store at once; each has a few chunks in memory and a connection. */
const MAX_AT_ONCE = 16;

/** What is no larger is shown once all of it has matched: a config, a small layer. Bytes. */
const MAX_HELD_BACK = 4 * 1024 * 1024;

/** How often a blob that did not match is taken again, each time without who lied. */
const MAX_MISMATCHES = 3;

/** A part of a blob, or all of it. */
export interface UnstoredPart {
  readonly repository: Repository;
  readonly digest: Digest;
  /** Of the whole blob. Bytes. */
  readonly size: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** What the client has of the whole blob already, and what its first chunk hashed to then. Bytes. @default nothing */
  readonly shown?: { readonly bytes: number; readonly first: Uint8Array };
}

/**
 * Blobs that the store cannot take in, because it is full or its disk fails: from peers or upstream straight to one
 * client, nothing of them kept, and nobody else served by the way. Slower for a fleet than an acquisition, and better
 * than a pull that fails.
 */
export class Unstored {
  readonly #proven: Proven;
  readonly #init: FetchInit;
  readonly #stopped: AbortSignal;
  readonly #places = new Places(MAX_AT_ONCE);

  /** @param stopped ends everything */
  constructor(proven: Proven, init: FetchInit, stopped: AbortSignal) {
    this.#proven = proven;
    this.#init = init;
    this.#stopped = stopped;
  }

  /**
   * The part's bytes in order. Where it is the whole blob, its last chunk waits until the digest has matched, and all of
   * it does where it is small; a part from the middle has no digest of its own, and is the client's to check.
   * @throws AgentError UPSTREAM_… or BLOB_UNKNOWN; UPSTREAM_MISMATCH where the whole is not what its digest says
   */
  async *read({ components }: World, part: UnstoredPart, signal: AbortSignal): AsyncGenerator<Piece, void> {
    const either = AbortSignal.any([signal, this.#stopped]);
    const leave = await this.#places.take(either);
    const over = new AbortController();
    try {
      const within = AbortSignal.any([either, over.signal]);
      const holders = new UnstoredHolders(
        components,
        this.#proven,
        this.#init,
        { ...part, isSmall: isSmall(part) },
        within,
      );
      const taken = new Taken(components, holders, part, within);
      yield* taken.pieces();
    } finally {
      over.abort();
      leave();
    }
  }
}

class Taken {
  readonly #components: World['components'];
  readonly #holders: UnstoredHolders;
  readonly #part: UnstoredPart;
  readonly #layout: ChunkLayout;
  readonly #signal: AbortSignal;

  constructor(components: World['components'], holders: UnstoredHolders, part: UnstoredPart, signal: AbortSignal) {
    this.#components = components;
    this.#holders = holders;
    this.#part = part;
    this.#layout = layoutOf(part.size);
    this.#signal = signal;
  }

  async *pieces(): AsyncGenerator<Piece, void> {
    const { digest, size, start, end, shown: before } = this.#part;
    if (start > 0 || end < size) {
      yield* this.#from(start);
      return;
    }
    const shownTo = isSmall(this.#part) ? 0 : chunkStart(this.#layout, this.#layout.count - 1);
    for (let mismatches = 1; ; mismatches++) {
      const algorithm = algorithmOf(digest);
      const hash = createHash(algorithm);
      const heldBack: Piece[] = [];
      let position = 0;
      for await (const piece of this.#all()) {
        hash.update(piece.bytes);
        const has = clamp((before?.bytes ?? 0) - position, piece.bytes.length);
        const shown = clamp(shownTo - position, piece.bytes.length);
        position += piece.bytes.length;
        if (shown > has) yield { ...piece, bytes: piece.bytes.subarray(has, shown) };
        const from = Math.max(has, shown);
        if (from < piece.bytes.length) heldBack.push({ ...piece, bytes: piece.bytes.slice(from) });
      }
      const found = toDigest(algorithm, hash.digest());
      if (found === digest) {
        this.#holders.prove();
        yield* heldBack;
        return;
      }
      const isTheirs = this.#holders.blame();
      if (shownTo === 0 && isTheirs && mismatches <= MAX_MISMATCHES) continue;
      throw new AgentError('UPSTREAM_MISMATCH', `what was sent as ${digest} is ${found}`);
    }
  }

  /** All of the blob. @throws AgentError CONTENT_UNAVAILABLE where it does not begin with what the client was shown */
  async *#all(): AsyncGenerator<Piece, void> {
    const { shown } = this.#part;
    const first: Piece[] = [];
    let left = shown === undefined ? 0 : chunkLength(this.#layout, 0);
    const sum = createHash('sha256');
    for await (const piece of this.#from(0)) {
      if (left === 0) {
        yield piece;
        continue;
      }
      sum.update(piece.bytes.subarray(0, left));
      left -= Math.min(left, piece.bytes.length);
      first.push({ ...piece, bytes: piece.bytes.slice() });
      if (left > 0) continue;
      if (shown !== undefined && Buffer.compare(sum.digest(), shown.first) !== 0) {
        throw new AgentError('CONTENT_UNAVAILABLE', `bytes of ${this.#part.digest} sent so far were false`);
      }
      yield* first;
    }
  }

  /** The bytes from `start` to the part's end: from peers whose word is good enough, else from upstream. */
  async *#from(start: number): AsyncGenerator<Piece, void> {
    const { end } = this.#part;
    let away: unknown;
    for (let position = start; position < end; ) {
      this.#signal.throwIfAborted();
      const isLast = away !== undefined;
      const isGiven = await this.#holders.ready(isLast);
      if (!isGiven && away !== undefined) throw away;
      try {
        const pieces = isGiven ? this.#holders.read(position, end) : this.#upstream(position);
        for await (const bytes of pieces) {
          position += bytes.length;
          away = undefined;
          yield { bytes, source: isGiven ? 'peer' : 'upstream' };
        }
      } catch (error) {
        this.#signal.throwIfAborted();
        // A peer that fails is not asked again; the next turn has others, or upstream.
        if (isGiven && isAgentError(error)) continue;
        if (!isAway(error)) throw error;
        away = error;
      }
    }
  }

  async *#upstream(start: number): AsyncGenerator<Uint8Array, void> {
    const { repository, digest, size, end } = this.#part;
    const { upstream } = this.#components;
    const blob = await upstream.getBlob(repository, digest, start, this.#signal, end < size ? end : undefined);
    if (blob.size !== undefined && blob.size !== size) {
      const told = `upstream has ${blob.size} bytes for ${repositoryText(repository)}@${digest}, not ${size}`;
      throw new AgentError('UPSTREAM_FAILED', told);
    }
    let left = end - start;
    for await (const piece of blob.body) {
      // A registry without Range sends on, whatever end it was told.
      const bytes = piece.subarray(0, left);
      left -= bytes.length;
      yield bytes;
      if (left === 0) return;
    }
    throw new AgentError('UPSTREAM_FAILED', `upstream sent ${left} bytes of ${digest} too few`);
  }
}

const clamp = (value: number, most: number): number => Math.max(0, Math.min(value, most));

/** Whether it is shown only when all of it has matched. */
function isSmall({ size, start, end }: UnstoredPart): boolean {
  return size <= MAX_HELD_BACK && start === 0 && end === size;
}
