import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type ChunkMap, chunkMap } from '../../protocol/chunk-map.ts';
import { layoutOf } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Account, Reservation } from './account.ts';
import { takeBack } from './demote.ts';
import { writeDurably } from './durable.ts';
import type { Files } from './files.ts';
import type { HashThread } from './hash-thread.ts';
import type { Health } from './health.ts';
import type { Holdings } from './holdings.ts';
import { journalRoom } from './journal.ts';
import type { Layout } from './layout.ts';
import { measurePartial } from './measure.ts';
import { createPartial } from './partial.ts';
import { openPartialFile } from './partial-file.ts';
import type { Room } from './room.ts';
import type { Stamp } from './stamp.ts';
import { chunkSums, sumOf } from './sums.ts';
import type { Turns } from './turns.ts';
import type { HeldBlob, Partial } from './types.ts';
import { WatchedPartial } from './watched-partial.ts';

export interface StoringComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly holdings: Holdings;
  readonly logger: Logger;
  readonly account: Account;
  readonly health: Health;
  readonly room: Room;
  readonly turns: Turns;
  readonly hashThread: HashThread;
}

/** Takes blobs in, whole or piece by piece: each has its room reserved before its first byte is on disk. */
export class Storing {
  readonly #files: Files;
  readonly #layout: Layout;
  readonly #holdings: Holdings;
  readonly #logger: Logger;
  readonly #account: Account;
  readonly #health: Health;
  readonly #room: Room;
  readonly #turns: Turns;
  readonly #hashThread: HashThread;
  readonly #closing: AbortSignal;
  /** Partials by digest, also while they are being opened. */
  readonly #partials = new Map<Digest, Promise<Partial>>();
  readonly #puts = new Set<Promise<HeldBlob>>();

  /** @param closing ends what is being opened */
  constructor(components: StoringComponents, closing: AbortSignal) {
    this.#files = components.files;
    this.#layout = components.layout;
    this.#holdings = components.holdings;
    this.#logger = components.logger;
    this.#account = components.account;
    this.#health = components.health;
    this.#room = components.room;
    this.#turns = components.turns;
    this.#hashThread = components.hashThread;
    this.#closing = closing;
  }

  isPartialOpen(digest: Digest): boolean {
    return this.#partials.has(digest);
  }

  /** Whether a blob is being put, whichever. */
  get isPutting(): boolean {
    return this.#puts.size > 0;
  }

  /** Whether any blob is on its way in. */
  get isStoring(): boolean {
    return this.#partials.size > 0 || this.isPutting;
  }

  /** Begins a blob that comes chunk by chunk, or goes on where it was left. The store's port says more. */
  async openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    if (this.#partials.has(digest)) throw new Error(`the partial of ${digest} is open already`);
    this.#health.assertTried();
    const all = AbortSignal.any([signal, this.#closing]);
    const opening = this.#health.watch(() => this.#openPartial(digest, size, all));
    this.#partials.set(digest, opening);
    try {
      return await opening;
    } catch (error) {
      this.#partials.delete(digest);
      throw error;
    }
  }

  /** Takes a small blob whole. The store's port says more. */
  async put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    this.#health.assertTried();
    const putting = this.#health.watch(() => this.#put(digest, bytes, mediaType));
    this.#puts.add(putting);
    try {
      return await putting;
    } finally {
      this.#puts.delete(putting);
    }
  }

  /** Closes the open partials, and waits for what is being put. */
  async close(): Promise<void> {
    const partials = await Promise.allSettled(this.#partials.values());
    const open = partials.flatMap((partial) => (partial.status === 'fulfilled' ? [partial.value] : []));
    await Promise.allSettled([...open.map((partial) => partial.close()), ...this.#puts]);
  }

  async #openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    const chunks = layoutOf(size);
    // The one before may still be closing, or a rotten blob on its way to become this partial.
    await this.#turns.run(digest, () => this.#takeBack(digest));
    let opened: Partial | undefined;
    const unwritten = () => (opened === undefined ? size : size - Math.min(size, opened.marked * chunks.chunkSize));
    const reservation = await this.#room.reserve(digest, size + journalRoom(chunks.count), true, unwritten);
    try {
      const file = await openPartialFile(this.#files, this.#layout, digest, chunks, signal);
      if (file.lost > 0) this.#logger.info({ digest, lost: file.lost }, 'chunks of a partial no longer match; dropped');
      const components = {
        files: this.#files,
        layout: this.#layout,
        hashThread: this.#hashThread,
        hold: (map: ChunkMap, mediaType: string | null, stamp: Stamp) => this.#hold(map, mediaType, stamp, reservation),
        inTurn: <Result>(of: Digest, work: () => Promise<Result>) => this.#turns.run(of, work),
        released: (of: Digest, done: Promise<void>) => {
          this.#partials.delete(of);
          this.#leave(of, reservation, done);
        },
      };
      opened = createPartial(components, digest, chunks, file);
      return new WatchedPartial(opened, this.#health, () => this.#turns.wait(digest));
    } catch (error) {
      this.#leave(digest, reservation, Promise.resolve());
      throw error;
    }
  }

  /** A crash between rename and index left the file among the blobs, and the reconciliation may not have come to it. */
  async #takeBack(digest: Digest): Promise<void> {
    if (this.#holdings.get(digest) !== undefined) return;
    if ((await takeBack(this.#files, this.#layout, digest)) === undefined) return;
    this.#account.changed(digest, await measurePartial(this.#files, this.#layout, digest));
  }

  /** What is left of a partial when `done` has resolved is counted as it lies there; the next owner waits for that. */
  #leave(digest: Digest, reservation: Reservation, done: Promise<void>): void {
    const left = done
      .then(async () => this.#account.leave(digest, await measurePartial(this.#files, this.#layout, digest)))
      .catch((error) => this.#health.failed(error))
      .then(() => this.#room.release(reservation));
    void this.#turns.run(digest, () => left);
  }

  async #put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    const algorithm = algorithmOf(digest);
    // The caller's buffer is its own again; what was verified is what is written.
    const content = new Uint8Array(bytes);
    const found = toDigest(algorithm, await sumOf(algorithm, content));
    if (found !== digest) throw new AgentError('DIGEST_MISMATCH', `what was to be stored as ${digest} is ${found}`);
    const map = chunkMap(digest, content.length, await chunkSums(content));
    const held = this.#holdings.get(digest);
    if (held !== undefined) return this.#holdings.describe(held, mediaType);
    // Before its turn: what makes room may wait for this digest's turn itself.
    const reservation = await this.#room.reserve(digest, content.length, false, () => content.length);
    try {
      return await this.#turns.run(digest, () => this.#write(map, content, mediaType, reservation));
    } finally {
      this.#room.release(reservation);
    }
  }

  async #write(map: ChunkMap, content: Uint8Array, mediaType: string | null, room: Reservation): Promise<HeldBlob> {
    const { digest } = map;
    const known = this.#holdings.get(digest);
    if (known !== undefined) return this.#holdings.describe(known, mediaType);
    const path = this.#layout.blob(digest);
    try {
      const stamp = await writeDurably(this.#files, join(this.#layout.tmp, randomUUID()), path, content);
      const held = await this.#hold(map, mediaType, stamp, room);
      this.#health.stored();
      return held;
    } catch (error) {
      // Directory or index cannot be written (a full disk): a file without a row would only take room.
      await this.#files.rm(path).catch(() => {});
      throw error;
    }
  }

  async #hold(map: ChunkMap, mediaType: string | null, stamp: Stamp, room: Reservation): Promise<HeldBlob> {
    const held = this.#holdings.hold(map, mediaType, stamp);
    // In the same breath: else it would count twice for as long as the fsync takes.
    this.#room.release(room);
    try {
      await this.#holdings.index.sync();
    } catch (error) {
      // Held all the same: only a power cut would forget it.
      this.#logger.warn({ err: error, digest: map.digest }, 'the index of the store cannot be fsynced');
    }
    return held;
  }
}
