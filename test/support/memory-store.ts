import { createHash, hash } from 'node:crypto';
import { AgentError } from '../../agent/errors.ts';
import type { HeldBlob, Partial, Source, Store } from '../../agent/fetch/ports.ts';
import { byLastUse, type Candidate, chooseVictims } from '../../agent/store/eviction.ts';
import type { Pin } from '../../agent/store/pin-index.ts';
import type { Holdings } from '../../agent/swarm/ports.ts';
import { type ChunkMap, chunkMap, chunkMapRoot, chunkMatches, encodeChunkMap } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';

/** A twin of the store in memory. Every read is checked, as if a recheck were always due. */
export interface MemoryStore extends Store, Holdings {
  totals(): { blobs: number; bytes: number };
  remove(digest: Digest): Promise<boolean>;
  pin(image: string, digests: Iterable<Digest>): void;
  unpin(image: string): boolean;
  pins(): readonly Pin[];
  isPinned(digest: Digest): boolean;
  /** Flips a bit of a held blob. */
  rot(digest: Digest, position: number): void;
}

interface Blob extends HeldBlob {
  readonly bytes: Buffer;
  readonly map: ChunkMap;
}

interface Mark {
  readonly sha256: Uint8Array;
  readonly source: Source;
}

/** What is left of a partial when nobody has it open. */
interface Remains {
  readonly bytes: Buffer;
  readonly marks: Map<number, Mark>;
}

/** @param maxSize bytes that blobs and partials may have together */
export function memoryStore({ maxSize = Number.POSITIVE_INFINITY } = {}): MemoryStore {
  return new Memory(maxSize);
}

class Memory implements MemoryStore {
  /** The most recently used last. */
  readonly #blobs = new Map<Digest, Blob>();
  readonly #partials = new Map<Digest, Remains>();
  readonly #open = new Set<Digest>();
  /** The registry that each is private for; null: several. */
  readonly #private = new Map<Digest, string | null>();
  readonly #sizes = new Map<Digest, number>();
  readonly #onHold = new Set<(digest: Digest) => void>();
  readonly #onDrop = new Set<(digest: Digest) => void>();
  readonly #pins = new Map<string, Set<Digest>>();
  /** Readers by digest. */
  readonly #reading = new Map<Digest, number>();
  readonly #maxSize: number;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  find(digest: Digest): HeldBlob | undefined {
    const blob = this.#use(digest);
    return blob && { digest, size: blob.size, mediaType: blob.mediaType };
  }

  async *read(digest: Digest, start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted();
    const blob = this.#use(digest);
    if (blob === undefined) throw new AgentError('BLOB_ROTTEN', `${digest} is not held`);
    if (!(start >= 0 && start <= end && end <= blob.size)) throw new RangeError('no such bytes');
    const { layout } = blob.map;
    this.#reading.set(digest, (this.#reading.get(digest) ?? 0) + 1);
    try {
      for (let at = start; at < end; ) {
        signal.throwIfAborted();
        const index = Math.floor(at / layout.chunkSize);
        const chunk = this.#checked(blob, index);
        if (chunk === undefined) throw new AgentError('BLOB_ROTTEN', `${digest} is rotten`);
        const first = chunkStart(layout, index);
        const to = Math.min(first + chunk.length, end);
        const piece = Buffer.from(chunk.subarray(at - first, to - first));
        yield piece;
        // Its memory is used again: whoever kept it must notice.
        piece.fill(0xee);
        at = to;
      }
    } finally {
      this.#reading.set(digest, this.#reading.get(digest)! - 1);
    }
  }

  async openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    signal.throwIfAborted();
    if (this.#open.has(digest)) throw new Error(`the partial of ${digest} is open already`);
    const layout = layoutOf(size);
    this.#makeRoom(digest, size - (this.#partials.get(digest)?.bytes.length ?? 0));
    let remains = this.#partials.get(digest);
    if (remains?.bytes.length !== size) remains = { bytes: Buffer.alloc(size), marks: new Map() };
    for (const [index, mark] of remains.marks) {
      const start = chunkStart(layout, index);
      const bytes = remains.bytes.subarray(start, start + chunkLength(layout, index));
      if (Buffer.compare(hash('sha256', bytes, 'buffer'), mark.sha256) !== 0) remains.marks.delete(index);
    }
    this.#partials.set(digest, remains);
    this.#open.add(digest);
    const release = (keep: boolean) => {
      this.#open.delete(digest);
      if (!keep) this.#partials.delete(digest);
    };
    return new MemoryPartial(digest, layout, remains, release, (map, bytes, type) => this.#hold(map, bytes, type));
  }

  async put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    const found = toDigest(algorithmOf(digest), hash(algorithmOf(digest), bytes, 'buffer'));
    if (found !== digest) throw new AgentError('DIGEST_MISMATCH', `${digest} is ${found}`);
    const known = this.#blobs.get(digest);
    if (known === undefined) this.#makeRoom(digest, bytes.length);
    const layout = layoutOf(bytes.length);
    const hashes = Array.from({ length: layout.count }, (_, index) => {
      const start = chunkStart(layout, index);
      return hash('sha256', bytes.subarray(start, start + chunkLength(layout, index)), 'buffer');
    });
    const map = chunkMap(digest, bytes.length, Buffer.concat(hashes));
    return this.#hold(map, Buffer.from(bytes), mediaType ?? known?.mediaType ?? null);
  }

  rememberDescriptors(descriptors: readonly { digest: Digest; size: number }[]): void {
    for (const { digest, size } of descriptors) this.#sizes.set(digest, size);
  }

  sizeOf(digest: Digest): number | undefined {
    return this.#blobs.get(digest)?.size ?? this.#sizes.get(digest);
  }

  keepPrivate(digest: Digest, registry: string): void {
    const wasTold = this.held(digest) !== undefined;
    const before = this.#private.get(digest);
    this.#private.set(digest, before === undefined || before === registry ? registry : null);
    if (wasTold) for (const listener of this.#onDrop) listener(digest);
  }

  privateOf(digest: Digest): string | undefined {
    return this.#private.get(digest) ?? undefined;
  }

  disclose(digest: Digest): void {
    if (!this.#private.delete(digest) || !this.#blobs.has(digest)) return;
    for (const listener of this.#onHold) listener(digest);
  }

  isPrivate(digest: Digest): boolean {
    return this.#private.has(digest);
  }

  held(digest: Digest): { size: number; root: string } | undefined {
    const blob = this.#forPeers(digest);
    return blob && { size: blob.size, root: chunkMapRoot(blob.map) };
  }

  chunkMapOf(digest: Digest): Uint8Array | undefined {
    const blob = this.#forPeers(digest);
    return blob && encodeChunkMap(blob.map);
  }

  async chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined> {
    signal.throwIfAborted();
    const blob = this.isPrivate(digest) ? undefined : this.#use(digest);
    if (blob === undefined || !(index >= 0 && index < blob.map.layout.count)) return undefined;
    const bytes = this.#checked(blob, index);
    if (bytes === undefined || into === undefined || into.length < bytes.length) return bytes;
    into.set(bytes);
    return into.subarray(0, bytes.length);
  }

  recent(limit: number): Digest[] {
    return [...this.#blobs.keys()]
      .filter((digest) => !this.isPrivate(digest))
      .reverse()
      .slice(0, limit);
  }

  onHold(listener: (digest: Digest) => void): () => void {
    this.#onHold.add(listener);
    return () => this.#onHold.delete(listener);
  }

  onDrop(listener: (digest: Digest) => void): () => void {
    this.#onDrop.add(listener);
    return () => this.#onDrop.delete(listener);
  }

  totals(): { blobs: number; bytes: number } {
    let bytes = 0;
    for (const blob of this.#blobs.values()) bytes += blob.size;
    return { blobs: this.#blobs.size, bytes };
  }

  async remove(digest: Digest): Promise<boolean> {
    const wasHeld = this.#drop(digest);
    if (wasHeld && !this.#open.has(digest)) this.#private.delete(digest);
    return wasHeld;
  }

  pin(image: string, digests: Iterable<Digest>): void {
    this.#pins.set(image, new Set(digests));
  }

  unpin(image: string): boolean {
    return this.#pins.delete(image);
  }

  pins(): Pin[] {
    const sorted = [...this.#pins].filter(([, digests]) => digests.size > 0).sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([image, digests]) => ({ image, digests: [...digests].sort() }));
  }

  isPinned(digest: Digest): boolean {
    return [...this.#pins.values()].some((digests) => digests.has(digest));
  }

  rot(digest: Digest, position: number): void {
    this.#blobs.get(digest)!.bytes[position]! ^= 1;
  }

  #makeRoom(digest: Digest, more: number): void {
    let used = this.totals().bytes;
    for (const { bytes } of this.#partials.values()) used += bytes.length;
    const needed = used + more - this.#maxSize;
    const candidates = function* (of: Iterable<[Digest, number]>, kind: Candidate['kind']): Generator<Candidate> {
      for (const [each, room] of of) yield { digest: each, kind, room, lastUsed: 0 };
    };
    const partials = Array.from(this.#partials, ([each, { bytes }]): [Digest, number] => [each, bytes.length]);
    const blobs = Array.from(this.#blobs, ([each, { size }]): [Digest, number] => [each, size]);
    const mayGo = ({ digest: each }: Candidate) =>
      each !== digest && !this.#open.has(each) && !this.isPinned(each) && (this.#reading.get(each) ?? 0) === 0;
    const all = byLastUse(candidates(partials, 'partial'), candidates(blobs, 'blob'));
    const victims = chooseVictims(all, mayGo, needed, 0);
    const room = victims.reduce((sum, victim) => sum + victim.room, 0);
    if (room < needed) throw new AgentError('STORE_FULL', `no room for ${digest}`);
    for (const victim of victims) {
      if (victim.kind === 'blob') this.#drop(victim.digest);
      else this.#partials.delete(victim.digest);
    }
  }

  /** A copy of the chunk, or undefined where it is rotten and the blob was dropped for it. */
  #checked(blob: Blob, index: number): Uint8Array | undefined {
    const { layout } = blob.map;
    const start = chunkStart(layout, index);
    const bytes = Buffer.from(blob.bytes.subarray(start, start + chunkLength(layout, index)));
    if (chunkMatches(blob.map, index, bytes)) return bytes;
    if (this.#blobs.get(blob.digest) !== blob) return undefined;
    this.#drop(blob.digest);
    if (!this.#open.has(blob.digest)) {
      const marks = Array.from({ length: layout.count }, (_, at): [number, Mark] => [
        at,
        { sha256: blob.map.hashes.slice(at * 32, at * 32 + 32), source: 'upstream' },
      ]);
      this.#partials.set(blob.digest, { bytes: Buffer.from(blob.bytes), marks: new Map(marks) });
    }
    return undefined;
  }

  #forPeers(digest: Digest): Blob | undefined {
    return this.isPrivate(digest) ? undefined : this.#blobs.get(digest);
  }

  #use(digest: Digest): Blob | undefined {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) return undefined;
    this.#blobs.delete(digest);
    this.#blobs.set(digest, blob);
    return blob;
  }

  #hold(map: ChunkMap, bytes: Buffer, mediaType: string | null): HeldBlob {
    const { digest, layout } = map;
    const isNew = !this.#blobs.delete(digest);
    this.#blobs.set(digest, { digest, size: layout.size, mediaType, bytes, map });
    if (isNew && !this.isPrivate(digest)) for (const listener of this.#onHold) listener(digest);
    return { digest, size: layout.size, mediaType };
  }

  #drop(digest: Digest): boolean {
    if (!this.#blobs.delete(digest)) return false;
    if (!this.isPrivate(digest)) for (const listener of this.#onDrop) listener(digest);
    return true;
  }
}

class MemoryPartial implements Partial {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  readonly #remains: Remains;
  readonly #release: (keep: boolean) => void;
  readonly #hold: (map: ChunkMap, bytes: Buffer, mediaType: string | null) => HeldBlob;
  #closed = false;

  constructor(
    digest: Digest,
    layout: ChunkLayout,
    remains: Remains,
    release: (keep: boolean) => void,
    hold: (map: ChunkMap, bytes: Buffer, mediaType: string | null) => HeldBlob,
  ) {
    this.digest = digest;
    this.layout = layout;
    this.#remains = remains;
    this.#release = release;
    this.#hold = hold;
  }

  get marked(): number {
    return this.#remains.marks.size;
  }

  sourceOf(index: number): Source | undefined {
    return this.#remains.marks.get(index)?.source;
  }

  hashOf(index: number): Uint8Array | undefined {
    return this.#remains.marks.get(index)?.sha256;
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    this.#assertInside(position, position + bytes.length);
    const { chunkSize } = this.layout;
    for (let index = Math.floor(position / chunkSize); index * chunkSize < position + bytes.length; index++) {
      if (bytes.length > 0 && this.#remains.marks.has(index)) throw new Error(`chunk ${index} is marked`);
    }
    this.#remains.bytes.set(bytes, position);
  }

  async mark(index: number, sha256: Uint8Array, source: Source): Promise<void> {
    this.#assertOpen();
    if (!Number.isInteger(index) || index < 0 || index >= this.layout.count) throw new RangeError(`no chunk ${index}`);
    if (sha256.length !== 32) throw new RangeError('a chunk has a SHA-256');
    this.#remains.marks.set(index, { sha256: Uint8Array.from(sha256), source });
  }

  async unmark(indexes: Iterable<number>): Promise<void> {
    this.#assertOpen();
    for (const index of indexes) this.#remains.marks.delete(index);
  }

  async read(position: number, length: number, into: Uint8Array = Buffer.alloc(length)): Promise<Uint8Array> {
    this.#assertOpen();
    this.#assertInside(position, position + length);
    into.set(this.#remains.bytes.subarray(position, position + length));
    return into.subarray(0, length);
  }

  async commit(mediaType: string | null): Promise<HeldBlob> {
    this.#assertOpen();
    if (this.marked < this.layout.count) throw new Error(`${this.marked} of ${this.layout.count} chunks are marked`);
    const algorithm = algorithmOf(this.digest);
    const found = toDigest(algorithm, createHash(algorithm).update(this.#remains.bytes).digest());
    if (found !== this.digest) throw new AgentError('DIGEST_MISMATCH', `${this.digest} is ${found}`);
    const hashes = Array.from({ length: this.layout.count }, (_, index) => this.hashOf(index)!);
    const map = chunkMap(this.digest, this.layout.size, Buffer.concat(hashes));
    const held = this.#hold(map, this.#remains.bytes, mediaType);
    this.#end(false);
    return held;
  }

  async close(): Promise<void> {
    this.#end(true);
  }

  async discard(): Promise<void> {
    this.#end(false);
  }

  #end(keep: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release(keep);
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error(`the partial of ${this.digest} is closed`);
  }

  #assertInside(start: number, end: number): void {
    if (!(start >= 0 && start <= end && end <= this.layout.size)) throw new RangeError('no such bytes');
  }
}
