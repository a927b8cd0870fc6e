import assert from 'node:assert/strict';
import { createHash, hash } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { isAgentError } from '../../../agent/errors.ts';
import type { Partial, Store } from '../../../agent/fetch/ports.ts';
import type { Pin } from '../../../agent/store/pin-index.ts';
import type { Holdings } from '../../../agent/swarm/ports.ts';
import { chunkMapRoot, chunkMatches, decodeChunkMap } from '../../../protocol/chunk-map.ts';
import { chunkLength, chunkStart, layoutOf, MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { type Algorithm, type Digest, toDigest } from '../../../protocol/digest.ts';
import { bytesOf, generatedContent } from '../../support/content.ts';

/** What every implementation of the store offers: to fetch, to the swarm, and to who runs it. */
export interface AnyStore extends Store, Holdings {
  totals(): { readonly blobs: number; readonly bytes: number };
  remove(digest: Digest): Promise<boolean>;
  pin(image: string, digests: Iterable<Digest>): void;
  unpin(image: string): boolean;
  pins(): readonly Pin[];
  isPinned(digest: Digest): boolean;
}

export interface AnyInit {
  /** Bytes; a store on disk takes some MiB of them for itself. */
  readonly maxSize?: number;
}

export interface Harness {
  readonly store: AnyStore;
  /** Flips a bit of a held blob, such that the store is bound to check it at the next read. */
  rot(digest: Digest, position: number): Promise<void>;
  close(): Promise<void>;
}

export const never = new AbortController().signal;

export function content(seed: string, size: number): Buffer {
  return bytesOf(generatedContent(seed, size));
}

export function digestOfBytes(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return toDigest(algorithm, createHash(algorithm).update(bytes).digest());
}

export function chunkOf(bytes: Buffer, index: number): Buffer {
  const layout = layoutOf(bytes.length);
  const start = chunkStart(layout, index);
  return bytes.subarray(start, start + chunkLength(layout, index));
}

export function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** Writes and marks chunks of `bytes`. */
export async function bring(partial: Partial, bytes: Buffer, indexes: Iterable<number>): Promise<void> {
  for (const index of indexes) {
    const chunk = chunkOf(bytes, index);
    await partial.write(chunkStart(partial.layout, index), chunk);
    await partial.mark(index, sha256(chunk), 'peer');
  }
}

/** Takes `bytes` in, chunk by chunk. */
export async function hold(store: Store, bytes: Buffer, algorithm: Algorithm = 'sha256'): Promise<Digest> {
  const digest = digestOfBytes(bytes, algorithm);
  const partial = await store.openPartial(digest, bytes.length, never);
  await bring(partial, bytes, Array(partial.layout.count).keys());
  await partial.commit(null);
  return digest;
}

/** All of it, copied piece by piece: a piece is overwritten once the next one is asked for. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(Uint8Array.from(piece));
  return Buffer.concat(parts);
}

/** What every store does, whatever it is made of. */
export function storeCompliance(name: string, open: (init?: AnyInit) => Promise<Harness>): void {
  describe(name, () => {
    let harness: Harness;
    let store: AnyStore;
    beforeEach(async () => {
      harness = await open();
      store = harness.store;
    });
    afterEach(() => harness.close());

    test('a blob that came in any order is held, read and described', async () => {
      const bytes = content('any order', 4 * MIB + 12_345);
      const digest = digestOfBytes(bytes);
      assert.equal(store.find(digest), undefined);
      assert.equal(store.held(digest), undefined);
      const partial = await store.openPartial(digest, bytes.length, never);
      await bring(partial, bytes, [3, 0, 4, 1]);
      assert.equal(partial.marked, 4);
      assert.equal(partial.sourceOf(2), undefined);
      assert.equal(partial.hashOf(2), undefined);
      assert.equal(partial.sourceOf(3), 'peer');
      assert.deepEqual(Buffer.from(partial.hashOf(3)!), sha256(chunkOf(bytes, 3)));
      assert.ok(bytes.subarray(3 * MIB + 7, 4 * MIB + 9).equals(await partial.read(3 * MIB + 7, MIB + 2)));
      await assert.rejects(partial.commit(null));
      await bring(partial, bytes, [2]);
      const described = { digest, size: bytes.length, mediaType: null };
      assert.deepEqual(await partial.commit(null), described);
      assert.deepEqual(store.find(digest), described);
      assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
      const [start, end] = [MIB - 5, 3 * MIB + 1];
      assert.ok(bytes.subarray(start, end).equals(await collect(store.read(digest, start, end, never))));
      assert.equal((await collect(store.read(digest, 77, 77, never))).length, 0);
      const map = decodeChunkMap(store.chunkMapOf(digest)!)!;
      assert.deepEqual(store.held(digest), { size: bytes.length, root: chunkMapRoot(map) });
      for (let index = 0; index < 5; index++) {
        const chunk = await store.chunk(digest, index, never);
        assert.ok(chunk && chunkOf(bytes, index).equals(chunk) && chunkMatches(map, index, chunk));
      }
      // Into memory that the caller has, and not beyond the chunk's end; into memory of its own where that is too short.
      const memory = Buffer.alloc(MIB + 100, 7);
      for (let index = 4; index >= 0; index--) {
        const chunk = await store.chunk(digest, index, never, memory.subarray(50, 50 + MIB));
        assert.equal(chunk?.buffer, memory.buffer);
        assert.equal(chunk?.byteOffset, memory.byteOffset + 50);
        assert.ok(chunk && chunkOf(bytes, index).equals(chunk));
      }
      assert.ok(memory.subarray(0, 50).equals(Buffer.alloc(50, 7)));
      assert.ok(memory.subarray(50 + MIB).equals(Buffer.alloc(50, 7)));
      const apart = await store.chunk(digest, 1, never, memory.subarray(0, MIB - 1));
      assert.ok(apart && apart.buffer !== memory.buffer && chunkOf(bytes, 1).equals(apart));
      assert.equal(await store.chunk(digest, 5, never), undefined);
      assert.equal(await store.chunk(digest, -1, never), undefined);
    });

    test('a sha512 blob and an empty one', async () => {
      const bytes = content('sha512', 2 * MIB + 1);
      for (const held of [bytes, Buffer.alloc(0)]) {
        const digest = await hold(store, held, 'sha512');
        assert.ok(held.equals(await collect(store.read(digest, 0, held.length, never))));
        assert.equal(store.find(digest)?.size, held.length);
      }
      const manifest = Buffer.from('{"schemaVersion":2}');
      assert.equal((await store.put(digestOfBytes(manifest, 'sha512'), manifest, 'a/b')).mediaType, 'a/b');
    });

    test('the whole decides: what does not match is not held, and stays a partial that can be mended', async () => {
      const bytes = content('mended', 3 * MIB);
      const digest = digestOfBytes(bytes);
      const wrong = Buffer.from(bytes);
      wrong[0]! ^= 1;
      const partial = await store.openPartial(digest, bytes.length, never);
      await bring(partial, wrong, [0, 1, 2]);
      for (let round = 0; round < 2; round++) {
        await assert.rejects(partial.commit(null), (error) => isAgentError(error, 'DIGEST_MISMATCH'));
        assert.equal(store.find(digest), undefined);
        assert.equal(partial.marked, 3);
      }
      await partial.unmark([0]);
      assert.equal(partial.marked, 2);
      await bring(partial, bytes, [0]);
      await partial.commit(null);
      assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
    });

    test('bytes of a marked chunk cannot be changed behind the hash', async () => {
      const bytes = content('marked', 2 * MIB);
      const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
      await bring(partial, bytes, [0]);
      await assert.rejects(partial.write(MIB - 1, Buffer.from('ab')));
      await assert.rejects(partial.write(2 * MIB - 1, Buffer.from('ab')), RangeError);
      await assert.rejects(partial.mark(2, sha256(bytes), 'peer'), RangeError);
      await bring(partial, bytes, [1]);
      await partial.commit(null);
    });

    test('a partial has one owner; the next one finds what was marked', async () => {
      const bytes = content('owners', 3 * MIB);
      const digest = digestOfBytes(bytes);
      const first = await store.openPartial(digest, bytes.length, never);
      await assert.rejects(store.openPartial(digest, bytes.length, never), /open already/);
      await first.write(0, chunkOf(bytes, 0));
      await first.mark(0, sha256(chunkOf(bytes, 0)), 'upstream');
      await bring(first, bytes, [2]);
      await first.close();
      await first.close();
      await assert.rejects(first.write(MIB, chunkOf(bytes, 1)));
      const second = await store.openPartial(digest, bytes.length, never);
      assert.deepEqual([second.sourceOf(0), second.sourceOf(1), second.sourceOf(2)], ['upstream', undefined, 'peer']);
      await second.discard();
      const third = await store.openPartial(digest, bytes.length, never);
      assert.equal(third.marked, 0);
      await third.discard();
    });

    test('another size is another blob: nothing is kept', async () => {
      const bytes = content('size', 2 * MIB);
      const digest = digestOfBytes(bytes);
      const wrong = await store.openPartial(digest, 3 * MIB, never);
      await bring(wrong, bytes, [0, 1]);
      await wrong.close();
      const right = await store.openPartial(digest, bytes.length, never);
      assert.equal(right.marked, 0);
      await right.discard();
    });

    test('put verifies, remembers the media type, and learns it later', async () => {
      const bytes = Buffer.from('{"schemaVersion":2}');
      const digest = digestOfBytes(bytes);
      await assert.rejects(store.put(digest, Buffer.from('other'), null), (e) => isAgentError(e, 'DIGEST_MISMATCH'));
      assert.equal(store.find(digest), undefined);
      await store.put(digest, bytes, null);
      await store.put(digest, bytes, 'application/vnd.oci.image.manifest.v1+json');
      assert.equal(store.find(digest)?.mediaType, 'application/vnd.oci.image.manifest.v1+json');
      await store.put(digest, bytes, null);
      assert.equal(store.find(digest)?.mediaType, 'application/vnd.oci.image.manifest.v1+json');
      assert.deepEqual(store.totals(), { blobs: 1, bytes: bytes.length });
    });

    test('rot is found before it is yielded; what is good is kept', async () => {
      const bytes = content('rot', 4 * MIB + 99);
      const digest = await hold(store, bytes);
      const dropped: Digest[] = [];
      store.onDrop((each) => dropped.push(each));
      await harness.rot(digest, 2 * MIB + 5);
      const seen: Uint8Array[] = [];
      await assert.rejects(
        async () => {
          for await (const piece of store.read(digest, 0, bytes.length, never)) seen.push(Uint8Array.from(piece));
        },
        (error) => isAgentError(error, 'BLOB_ROTTEN'),
      );
      const got = Buffer.concat(seen);
      assert.ok(got.length <= 2 * MIB && got.equals(bytes.subarray(0, got.length)));
      assert.deepEqual(dropped, [digest]);
      assert.equal(store.find(digest), undefined);
      assert.equal(store.held(digest), undefined);
      assert.equal(store.chunkMapOf(digest), undefined);
      assert.deepEqual(store.totals(), { blobs: 0, bytes: 0 });
      const partial = await store.openPartial(digest, bytes.length, never);
      assert.equal(partial.marked, 4);
      assert.equal(partial.sourceOf(2), undefined);
      await bring(partial, bytes, [2]);
      await partial.commit(null);
      assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
    });

    test('a rotten chunk is not given to a peer, a good one of the same blob is until it is found', async () => {
      const bytes = content('peer rot', 3 * MIB);
      const digest = await hold(store, bytes);
      await harness.rot(digest, MIB);
      assert.ok(chunkOf(bytes, 2).equals((await store.chunk(digest, 2, never))!));
      assert.equal(await store.chunk(digest, 1, never), undefined);
      assert.equal(store.held(digest), undefined);
      assert.equal(await store.chunk(digest, 2, never), undefined);
    });

    test('recent, totals, events and removal', async () => {
      const seen: string[] = [];
      const ends = [store.onHold((d) => seen.push(`+${d}`)), store.onDrop((d) => seen.push(`-${d}`))];
      const digests: Digest[] = [];
      for (const text of ['a', 'b', 'c']) {
        const bytes = Buffer.from(text);
        digests.push((await store.put(digestOfBytes(bytes), bytes, null)).digest);
      }
      const [a, b, c] = digests as [Digest, Digest, Digest];
      assert.deepEqual(store.recent(9), [c, b, a]);
      await collect(store.read(a, 0, 1, never));
      assert.deepEqual(store.recent(2), [a, c]);
      assert.deepEqual(store.totals(), { blobs: 3, bytes: 3 });
      assert.equal(await store.remove(b), true);
      assert.equal(await store.remove(b), false);
      assert.deepEqual(store.totals(), { blobs: 2, bytes: 2 });
      assert.deepEqual(seen, [`+${a}`, `+${b}`, `+${c}`, `-${b}`]);
      for (const end of ends) end();
      await store.remove(a);
      assert.equal(seen.length, 4);
    });

    test('who reads a blob that is removed may finish', async () => {
      const bytes = content('removed', 3 * MIB);
      const digest = await hold(store, bytes);
      const reading = store.read(digest, 0, bytes.length, never)[Symbol.asyncIterator]();
      const first = Uint8Array.from((await reading.next()).value ?? []);
      await store.remove(digest);
      const rest = await collect({ [Symbol.asyncIterator]: () => reading });
      assert.ok(bytes.equals(Buffer.concat([first, rest])));
    });

    test('a reader that aborts or leaves ends at once', async () => {
      const bytes = content('abort', 3 * MIB);
      const digest = await hold(store, bytes);
      const leaving = new AbortController();
      await assert.rejects(async () => {
        for await (const _ of store.read(digest, 0, bytes.length, leaving.signal)) leaving.abort(new Error('hung up'));
      }, /hung up/);
      for await (const _ of store.read(digest, 0, bytes.length, never)) break;
      await assert.rejects(collect(store.read(digest, 0, bytes.length + 1, never)), RangeError);
      await assert.rejects(collect(store.read(digestOfBytes(Buffer.from('none')), 0, 0, never)), (e) =>
        isAgentError(e),
      );
    });

    test('sizes that manifests gave', async () => {
      const digest = digestOfBytes(Buffer.from('x'));
      assert.equal(store.sizeOf(digest), undefined);
      store.rememberDescriptors([{ digest, size: 5 }]);
      assert.equal(store.sizeOf(digest), 5);
      await store.put(digest, Buffer.from('x'), null);
      assert.equal(store.sizeOf(digest), 1);
    });

    test('whatever the order of marks, unmarks, wrong bytes and commits, only the true blob is held', async () => {
      const bytes = content('property', 2 * MIB + 4321);
      const digest = digestOfBytes(bytes);
      const step = fc.oneof(
        {
          weight: 8,
          // Mostly good, or hardly a run would end with a blob that is held.
          arbitrary: fc.record({
            act: fc.constant('bring' as const),
            index: fc.nat(2),
            good: fc.nat(7).map((n) => n > 0),
          }),
        },
        fc.record({ act: fc.constant('unmark' as const), index: fc.nat(2) }),
        fc.record({ act: fc.constant('commit' as const) }),
        fc.record({ act: fc.constant('reopen' as const) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
          let partial = await store.openPartial(digest, bytes.length, never);
          const model = new Map<number, boolean>();
          for (const each of [...steps, { act: 'commit' as const }]) {
            if (each.act === 'bring' && !model.has(each.index)) {
              const chunk = Buffer.from(chunkOf(bytes, each.index));
              if (!each.good) chunk[chunk.length - 1]! ^= 1;
              // Two pieces, as they come from a network.
              await partial.write(each.index * MIB, chunk.subarray(0, 1000));
              await partial.write(each.index * MIB + 1000, chunk.subarray(1000));
              await partial.mark(each.index, sha256(chunk), 'upstream');
              model.set(each.index, each.good);
            } else if (each.act === 'unmark') {
              await partial.unmark([each.index]);
              model.delete(each.index);
            } else if (each.act === 'reopen') {
              await partial.close();
              partial = await store.openPartial(digest, bytes.length, never);
            } else if (each.act === 'commit') {
              if (model.size === 3 && [...model.values()].every(Boolean)) {
                await partial.commit(null);
                assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
                await store.remove(digest);
                return;
              }
              await assert.rejects(partial.commit(null), (e) => model.size < 3 || isAgentError(e, 'DIGEST_MISMATCH'));
            }
            assert.equal(partial.marked, model.size);
          }
          await partial.discard();
        }),
        { numRuns: 30 },
      );
    });

    test('what is private is held for this host, and peers hear nothing of it', async () => {
      const told: string[] = [];
      store.onHold((digest) => told.push(`hold ${digest}`));
      store.onDrop((digest) => told.push(`drop ${digest}`));
      const bytes = content('private', 2 * MIB);
      const digest = digestOfBytes(bytes);
      assert.equal(store.isPrivate(digest), false);
      store.keepPrivate(digest, 'ghcr.io');
      await hold(store, bytes);
      const small = content('small', 100);
      store.keepPrivate(digestOfBytes(small), 'ghcr.io');
      await store.put(digestOfBytes(small), small, 'application/json');
      const open = await hold(store, content('public', 100));
      assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
      assert.equal(store.find(digest)?.size, bytes.length);
      for (const hidden of [digest, digestOfBytes(small)]) {
        assert.equal(store.isPrivate(hidden), true);
        assert.equal(store.held(hidden), undefined);
        assert.equal(store.chunkMapOf(hidden), undefined);
        assert.equal(await store.chunk(hidden, 0, never), undefined);
      }
      assert.deepEqual(store.recent(10), [open]);
      assert.deepEqual(told, [`hold ${open}`]);
      await store.remove(digest);
      assert.deepEqual(told, [`hold ${open}`]);
      assert.equal(store.isPrivate(digest), false, 'nothing of it is here any more');
    });

    test('what becomes private is gone as far as peers are concerned', async () => {
      const told: string[] = [];
      const digest = await hold(store, content('was public', 100));
      store.onDrop((dropped) => told.push(dropped));
      store.keepPrivate(digest, 'ghcr.io');
      store.keepPrivate(digest, 'ghcr.io');
      assert.deepEqual(told, [digest]);
      assert.equal(store.held(digest), undefined);
      assert.equal(store.find(digest)?.size, 100);
    });

    test('what turns out to be public after all is told of, and given', async () => {
      const told: string[] = [];
      store.onHold((digest) => told.push(digest));
      const bytes = content('public after all', 2 * MIB);
      const digest = digestOfBytes(bytes);
      store.disclose(digest);
      store.keepPrivate(digest, 'ghcr.io');
      assert.equal(store.privateOf(digest), 'ghcr.io');
      await hold(store, bytes);
      assert.deepEqual(told, []);
      store.disclose(digest);
      store.disclose(digest);
      assert.deepEqual(told, [digest]);
      assert.equal(store.isPrivate(digest), false);
      assert.equal(store.privateOf(digest), undefined);
      assert.equal(store.held(digest)?.size, bytes.length);
      assert.ok(chunkOf(bytes, 1).equals((await store.chunk(digest, 1, never)) ?? Buffer.alloc(0)));
      assert.deepEqual(store.recent(10), [digest]);
    });

    test('what was half here is told of once it is whole', async () => {
      const told: string[] = [];
      store.onHold((digest) => told.push(digest));
      const bytes = content('half here', 2 * MIB);
      const digest = digestOfBytes(bytes);
      store.keepPrivate(digest, 'ghcr.io');
      const partial = await store.openPartial(digest, bytes.length, never);
      await bring(partial, bytes, [1]);
      store.disclose(digest);
      assert.deepEqual(told, []);
      await bring(partial, bytes, [0]);
      await partial.commit(null);
      assert.deepEqual(told, [digest]);
    });

    test('what is private for two registries is nobody’s to make public', () => {
      const digest = digestOfBytes(content('of two', 10));
      store.keepPrivate(digest, 'ghcr.io');
      store.keepPrivate(digest, 'ghcr.io');
      assert.equal(store.privateOf(digest), 'ghcr.io');
      store.keepPrivate(digest, 'registry.lan:5000');
      assert.equal(store.privateOf(digest), undefined);
      store.keepPrivate(digest, 'ghcr.io');
      assert.equal(store.privateOf(digest), undefined);
      assert.equal(store.isPrivate(digest), true);
    });

    test('a private blob that rots stays private, whatever becomes of it', async () => {
      const told: string[] = [];
      const bytes = content('private and rotten', 2 * MIB);
      const digest = digestOfBytes(bytes);
      store.keepPrivate(digest, 'ghcr.io');
      await hold(store, bytes);
      store.onDrop((dropped) => told.push(dropped));
      await harness.rot(digest, MIB);
      await assert.rejects(collect(store.read(digest, 0, bytes.length, never)));
      assert.equal(store.find(digest), undefined);
      assert.equal(store.isPrivate(digest), true);
      assert.deepEqual(told, []);
    });

    test('what is pinned is told, by image', async () => {
      const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOfBytes(Buffer.from(text))) as [Digest, Digest, Digest];
      assert.deepEqual(store.pins(), []);
      store.pin('docker.io/library/two:1', [b, a, b]);
      store.pin('docker.io/library/one:1', [c, a]);
      assert.deepEqual(store.pins(), [
        { image: 'docker.io/library/one:1', digests: [a, c].sort() },
        { image: 'docker.io/library/two:1', digests: [a, b].sort() },
      ]);
      store.pin('docker.io/library/one:1', [b]);
      assert.equal(store.isPinned(c), false, 'the image is another now');
      assert.equal(store.unpin('docker.io/library/two:1'), true);
      assert.equal(store.unpin('docker.io/library/two:1'), false);
      assert.equal(store.isPinned(a), false);
      assert.equal(store.isPinned(b), true, 'another image has it too');
    });

    describe('at its bound', () => {
      const LAYER = 8 * MIB;
      beforeEach(async () => {
        await harness.close();
        // Three layers, and not four.
        harness = await open({ maxSize: 3.9 * LAYER });
        store = harness.store;
      });
      const layers = (count: number) => Array.from({ length: count }, (_, at) => content(`layer ${at}`, LAYER));
      const isHeld = (bytes: Buffer) => store.held(digestOfBytes(bytes)) !== undefined;

      test('what was used longest ago makes room, and peers are told', async () => {
        const [a, b, c, d] = layers(4) as [Buffer, Buffer, Buffer, Buffer];
        for (const bytes of [a, b, c]) await hold(store, bytes);
        store.find(digestOfBytes(a));
        const dropped: Digest[] = [];
        store.onDrop((digest) => dropped.push(digest));
        await hold(store, d);
        assert.deepEqual(dropped, [digestOfBytes(b)]);
        assert.deepEqual([a, b, c, d].map(isHeld), [true, false, true, true]);
        assert.ok(d.equals(await collect(store.read(digestOfBytes(d), 0, LAYER, never))));
        await hold(store, b);
        assert.deepEqual([a, b, c, d].map(isHeld), [true, true, false, true]);
      });

      test('what is pinned, read or fetched stays; with nothing that may go the store is full', async () => {
        const [a, b, c, d] = layers(4) as [Buffer, Buffer, Buffer, Buffer];
        for (const bytes of [a, b]) await hold(store, bytes);
        store.pin('image', [digestOfBytes(a)]);
        const reading = store.read(digestOfBytes(b), 0, LAYER, never)[Symbol.asyncIterator]();
        const first = Uint8Array.from((await reading.next()).value ?? []);
        const fetched = await store.openPartial(digestOfBytes(c), LAYER, never);
        const full = (error: unknown) => isAgentError(error, 'STORE_FULL');
        await assert.rejects(store.openPartial(digestOfBytes(d), LAYER, never), full);
        await assert.rejects(store.put(digestOfBytes(d), d, null), full);
        await bring(fetched, c, Array(8).keys());
        await fetched.commit(null);
        assert.deepEqual([a, b, c].map(isHeld), [true, true, true]);

        const rest = await collect({ [Symbol.asyncIterator]: () => reading });
        assert.ok(b.equals(Buffer.concat([first, rest])));
        await hold(store, d);
        assert.deepEqual([a, b, c, d].map(isHeld), [true, false, true, true], 'nobody reads it any more');
        store.unpin('image');
        await hold(store, b);
        assert.deepEqual([a, b, c, d].map(isHeld), [false, true, true, true]);
      });

      test('what can never fit is refused, and nothing goes for it', async () => {
        const [a] = layers(1) as [Buffer];
        await hold(store, a);
        const large = digestOfBytes(Buffer.from('large'));
        await assert.rejects(store.openPartial(large, 4 * LAYER, never), (error) => isAgentError(error, 'STORE_FULL'));
        assert.ok(isHeld(a));
      });

      test('ten at once do not pass the bound together', async () => {
        const opened = await Promise.allSettled(
          layers(10).map((bytes) => store.openPartial(digestOfBytes(bytes), LAYER, never)),
        );
        const partials = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
        assert.equal(partials.length, 3);
        for (const partial of partials) await partial.discard();
        for (const bytes of layers(3)) await hold(store, bytes);
        assert.deepEqual(layers(3).map(isHeld), [true, true, true]);
      });

      test('what nobody fetches any more makes room', async () => {
        const [a, b, c, d] = layers(4) as [Buffer, Buffer, Buffer, Buffer];
        const left = await store.openPartial(digestOfBytes(a), LAYER, never);
        await bring(left, a, Array(7).keys());
        await left.close();
        for (const bytes of [b, c]) await hold(store, bytes);
        await hold(store, d);
        assert.deepEqual([b, c, d].map(isHeld), [true, true, true]);
        const anew = await store.openPartial(digestOfBytes(a), LAYER, never);
        assert.equal(anew.marked, 0);
        await anew.discard();
      });
    });
  });
}
