import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isAgentError } from '../../../../agent/errors.ts';
import { type Also, type AlsoInit, openAlso } from '../../../../agent/store/also/index.ts';
import type { DiskStore } from '../../../../agent/store/index.ts';
import { chunkMapRoot, chunkMatches, decodeChunkMap } from '../../../../protocol/chunk-map.ts';
import type { Digest } from '../../../../protocol/digest.ts';
import { until } from '../../../support/host.ts';
import { type MemorySource, memorySource } from '../../../support/memory-source.ts';
import { chunkOf, collect, content, digestOfBytes, never, storeCompliance } from '../compliance.ts';
import { flip, type Place, place, quiet } from '../support.ts';

const MIB = 1024 * 1024;
const idle = () => false;

let at: Place;
let own: DiskStore;
let source: MemorySource;
let opened: Also[];

beforeEach(async () => {
  at = await place();
  own = await at.open();
  source = memorySource();
  opened = [];
});

afterEach(async () => {
  for (const also of opened) await also.close();
  source.close();
  await at.leave();
});

/** Files are hashed once they are old enough: the clock of these tests is an hour ahead. */
const HOUR = 3_600_000;

function open(init: Partial<AlsoInit> & { share?: 'all' | 'public'; now?: () => number } = {}): Also {
  const { share = 'all', now = () => Date.now() + HOUR, ...over } = init;
  const also = openAlso(
    { store: own, logger: quiet, now, sourceOf: () => source },
    { directory: at.path, places: [{ kind: 'oci', path: source.root, share }], recheck: 24 * HOUR, ...over },
  );
  opened.push(also);
  return also;
}

async function close(also: Also): Promise<void> {
  opened = opened.filter((each) => each !== also);
  await also.close();
}

const blob = (seed: string, size = 3 * MIB + 7) => {
  const bytes = content(seed, size);
  return { bytes, digest: digestOfBytes(bytes) };
};

const holds = (also: Also, blobs: number) =>
  until(`${blobs} held`, () => also.totals().blobs === blobs && also.totals().waiting === 0);

function heard(store: DiskStore): string[] {
  const told: string[] = [];
  store.onHold((digest) => told.push(`+${digest}`));
  store.onDrop((digest) => told.push(`-${digest}`));
  return told;
}

storeCompliance('the store with an empty layout behind it', async (more) => {
  const where = await place();
  const store = await where.open({ recheck: 0, ...more });
  const places = [{ kind: 'oci', path: join(where.path, 'none'), share: 'all' }] as const;
  const also = openAlso({ store, logger: quiet }, { directory: where.path, places, recheck: 0 });
  also.hash(idle);
  return {
    store: also.store,
    rot: (digest, position) => flip(where.path, digest, position),
    async close() {
      await also.close();
      await where.leave();
    },
  };
});

test('held only when it was hashed; then read, mapped and told of as the store’s own', async () => {
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  const also = open();
  const { store } = also;
  const told = heard(store);
  await until('it was found', () => also.totals().waiting === 1);
  assert.equal(store.find(digest), undefined);
  assert.equal(store.held(digest), undefined);
  assert.equal(await store.chunk(digest, 0, never), undefined);
  await assert.rejects(collect(store.read(digest, 0, 1, never)), (error) => isAgentError(error, 'BLOB_ROTTEN'));

  also.hash(idle);
  await holds(also, 1);
  assert.deepEqual(told, [`+${digest}`]);
  assert.deepEqual(store.find(digest), { digest, size: bytes.length, mediaType: null });
  assert.ok(bytes.subarray(5, 2 * MIB).equals(await collect(store.read(digest, 5, 2 * MIB, never))));
  await assert.rejects(collect(store.read(digest, 0, bytes.length + 1, never)), RangeError);
  const map = decodeChunkMap(store.chunkMapOf(digest)!);
  assert.ok(map);
  assert.deepEqual(store.held(digest), { size: bytes.length, root: chunkMapRoot(map) });
  for (let index = 0; index < 4; index++) {
    const chunk = await store.chunk(digest, index, never);
    assert.ok(chunk && chunkOf(bytes, index).equals(chunk) && chunkMatches(map, index, chunk));
  }
  assert.equal(await store.chunk(digest, 4, never), undefined);
  assert.deepEqual(store.recent(9), [digest]);
  assert.deepEqual(store.totals(), { blobs: 0, bytes: 0 });
  assert.equal(await store.remove(digest), false);
  assert.ok(store.find(digest));
});

test('a sha512 blob and an empty one', async () => {
  const bytes = content('sha512', 2 * MIB + 1);
  const digest = digestOfBytes(bytes, 'sha512');
  const empty = digestOfBytes(Buffer.alloc(0));
  await source.put(digest, bytes);
  await source.put(empty, Buffer.alloc(0));
  const also = open();
  also.hash(idle);
  await holds(also, 2);
  assert.ok(bytes.equals(await collect(also.store.read(digest, 0, bytes.length, never))));
  assert.equal((await collect(also.store.read(empty, 0, 0, never))).length, 0);
});

test('what was hashed is not hashed again after a restart; what changed since is', async () => {
  const kept = blob('kept');
  const changed = blob('changed');
  const gone = blob('gone');
  for (const { digest, bytes } of [kept, changed, gone]) await source.put(digest, bytes);
  const first = open();
  first.hash(idle);
  await holds(first, 3);
  await close(first);
  source.opened.length = 0;
  await source.put(changed.digest, changed.bytes);
  await source.remove(gone.digest);

  const second = open();
  await until('all were found', () => second.totals().blobs === 1 && second.totals().waiting === 1);
  assert.ok(second.store.find(kept.digest));
  second.hash(idle);
  await holds(second, 2);
  assert.deepEqual(source.opened, [changed.digest]);
});

test('an index that is damaged is begun anew, and so is what a place that is not listed any more left in it', async () => {
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  const first = open();
  first.hash(idle);
  await holds(first, 1);
  await close(first);
  await close(open({ places: [] }));
  const second = open();
  await until('it was found', () => second.totals().waiting === 1);
  await close(second);
  await writeFile(
    join(at.path, 'also.sqlite'),
    'no database, but long enough to be looked at as if it were one'.repeat(20),
  );
  const third = open();
  third.hash(idle);
  await holds(third, 1);
});

test('other bytes than the name says: not held, and looked at again only when the file is another', async () => {
  const { bytes, digest } = blob('one');
  const wrong = Buffer.from(bytes);
  wrong[MIB]! ^= 1;
  await source.put(digest, wrong);
  const also = open();
  also.hash(idle);
  await until('it was hashed', () => source.opened.length === 1 && also.totals().waiting === 0);
  assert.equal(also.store.find(digest), undefined);
  source.find();
  const { digest: next, bytes: good } = blob('next');
  await source.put(next, good);
  await holds(also, 1);
  assert.deepEqual(source.opened, [digest, next]);
  await source.put(digest, bytes);
  await holds(also, 2);
});

test('a file that changes while it is hashed is hashed as it is then', async () => {
  const { bytes, digest } = blob('one');
  const wrong = Buffer.from(bytes);
  wrong[0]! ^= 1;
  await source.put(digest, wrong);
  source.beforeOpen = async () => {
    source.beforeOpen = async () => {};
    await source.put(digest, bytes);
  };
  const also = open();
  also.hash(idle);
  await holds(also, 1);
  assert.ok(bytes.equals(await collect(also.store.read(digest, 0, bytes.length, never))));
});

test('a file that changed a moment ago waits', async () => {
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  const { ctime } = (await source.look(digest))!;
  let now = Number(ctime / 1_000_000n) + 500;
  const also = open({ now: () => now });
  also.hash(idle);
  await until('it was found', () => also.totals().waiting === 1);
  const { bytes: before, digest: settled } = blob('settled', 100);
  await source.put(settled, before);
  await until('both were found', () => also.totals().waiting === 2);
  assert.deepEqual(source.opened, []);
  now += 60_000;
  await holds(also, 2);
});

test('after store.recheck a file is matched again as it is read, and what is wrong is no longer used', async () => {
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  let now = Date.now() + HOUR;
  const also = open({ now: () => now });
  also.hash(idle);
  await holds(also, 1);
  const told = heard(also.store);
  now += 25 * HOUR;
  assert.ok(bytes.equals(await collect(also.store.read(digest, 0, bytes.length, never))));
  assert.ok(also.store.find(digest));
  now += 25 * HOUR;
  await source.rot(digest, 2 * MIB);
  const seen: Uint8Array[] = [];
  await assert.rejects(
    async () => {
      for await (const piece of also.store.read(digest, 0, bytes.length, never)) seen.push(Uint8Array.from(piece));
    },
    (error) => isAgentError(error, 'BLOB_ROTTEN'),
  );
  const got = Buffer.concat(seen);
  assert.ok(got.length <= 2 * MIB && got.equals(bytes.subarray(0, got.length)));
  assert.deepEqual(told, [`-${digest}`]);
  assert.equal(also.store.find(digest), undefined);
});

test('nothing is hashed while somebody is busy or reads; it goes on in the middle of a file', async () => {
  const mine = blob('mine', 2 * MIB);
  const reading = (await own.put(mine.digest, mine.bytes, null)).digest;
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  let isBusy = true;
  let asked = 0;
  const also = open();
  also.hash(() => {
    asked++;
    return isBusy;
  });
  await until('it was asked more than once', () => asked > 2);
  assert.deepEqual(source.opened, []);
  const reader = also.store.read(reading, 0, mine.bytes.length, never)[Symbol.asyncIterator]();
  await reader.next();
  isBusy = false;
  const before = asked;
  // While somebody reads nobody else is asked.
  await assert.rejects(until('hashed', () => also.totals().blobs > 0 || asked > before, 600));
  await reader.return?.();
  await holds(also, 1);
});

test('removed under a reader: it reads to the end; afterwards it is not held', async () => {
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  const also = open();
  also.hash(idle);
  await holds(also, 1);
  const reading = also.store.read(digest, 0, bytes.length, never)[Symbol.asyncIterator]();
  const first = Uint8Array.from((await reading.next()).value ?? []);
  await source.remove(digest);
  await holds(also, 0);
  const rest = await collect({ [Symbol.asyncIterator]: () => reading });
  assert.ok(bytes.equals(Buffer.concat([first, rest])));
  await assert.rejects(collect(also.store.read(digest, 0, 1, never)), (error) => isAgentError(error, 'BLOB_ROTTEN'));
});

test('a place that is gone holds nothing; back again it is held without being hashed', async () => {
  const { bytes, digest } = blob('one');
  await source.put(digest, bytes);
  const also = open();
  also.hash(idle);
  await holds(also, 1);
  const told = heard(also.store);
  source.lose();
  await holds(also, 0);
  source.opened.length = 0;
  source.find();
  await holds(also, 1);
  assert.deepEqual(source.opened, []);
  assert.deepEqual(told, [`-${digest}`, `+${digest}`]);
});

test('a blob that both hold is told of once, and gone when neither has it', async () => {
  const { bytes, digest } = blob('one', 1000);
  const also = open();
  also.hash(idle);
  const told = heard(also.store);
  await also.store.put(digest, bytes, 'application/json');
  await source.put(digest, bytes);
  await holds(also, 1);
  assert.deepEqual(told, [`+${digest}`]);
  assert.equal(also.store.find(digest)?.mediaType, 'application/json');
  assert.equal(await also.store.remove(digest), true);
  assert.deepEqual(told, [`+${digest}`]);
  assert.deepEqual(also.store.find(digest), { digest, size: 1000, mediaType: null });
  await source.remove(digest);
  await until('it is gone', () => told.length === 2);
  assert.deepEqual(told, [`+${digest}`, `-${digest}`]);
});

test('peers hear of what is public: named by a registry, or by a manifest that is public', async () => {
  const layer = blob('layer', 5000);
  const foreign = blob('foreign', 3000);
  const subject = blob('subject', 2000);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      layers: [
        { digest: layer.digest, size: 5000 },
        { digest: foreign.digest, size: 3000, urls: ['https://elsewhere.example/layer'] },
      ],
      subject: { digest: subject.digest, size: 2000 },
    }),
  );
  const top = digestOfBytes(manifest);
  for (const each of [layer, foreign, subject, { digest: top, bytes: manifest }])
    await source.put(each.digest, each.bytes);
  const also = open({ share: 'public' });
  const { store } = also;
  also.hash(idle);
  await holds(also, 4);
  const told = heard(store);
  const hidden = (digest: Digest) => store.held(digest) === undefined && store.chunkMapOf(digest) === undefined;
  also.seen(top, manifest);
  assert.ok([top, layer.digest, foreign.digest, subject.digest].every(hidden), 'nobody said that it is public');
  assert.equal(await store.chunk(layer.digest, 0, never), undefined);
  assert.ok(store.find(layer.digest), 'for this host it is there');

  also.named(top);
  also.seen(top, manifest);
  also.seen(top, manifest);
  assert.deepEqual(told, [`+${top}`, `+${layer.digest}`]);
  assert.ok(layer.bytes.equals((await store.chunk(layer.digest, 0, never))!));
  assert.ok([foreign.digest, subject.digest].every(hidden), 'a registry takes those on the manifest’s word');
  assert.deepEqual(new Set(store.recent(9)), new Set([top, layer.digest]));

  await close(also);
  const again = open({ share: 'public' });
  await holds(again, 4);
  assert.deepEqual(new Set(again.store.recent(9)), new Set([top, layer.digest]), 'remembered');
});

test('what the store knows to be private stays so, though all of a place is shared', async () => {
  const { bytes, digest } = blob('one', 1000);
  await source.put(digest, bytes);
  const also = open({ share: 'all' });
  const { store } = also;
  also.hash(idle);
  await holds(also, 1);
  const told = heard(store);
  store.keepPrivate(digest, 'docker.io');
  assert.deepEqual(told, [`-${digest}`]);
  assert.equal(store.held(digest), undefined);
  assert.equal(await store.chunk(digest, 0, never), undefined);
  assert.deepEqual(store.recent(9), []);
  assert.ok(bytes.equals(await collect(store.read(digest, 0, 1000, never))));
});

test('what was private and is disclosed is told of once, wherever it lies', async () => {
  const both = blob('both', 1000);
  const here = blob('here', 1000);
  const there = blob('there', 1000);
  for (const { digest, bytes } of [both, there]) await source.put(digest, bytes);
  const also = open({ share: 'all' });
  const { store } = also;
  for (const { digest } of [both, here, there]) store.keepPrivate(digest, 'docker.io');
  for (const { digest, bytes } of [both, here]) await store.put(digest, bytes, null);
  also.hash(idle);
  await holds(also, 2);
  const told = heard(store);
  for (const { digest } of [both, here, there]) {
    assert.equal(store.privateOf(digest), 'docker.io');
    store.disclose(digest);
    store.disclose(digest);
    assert.notEqual(store.held(digest), undefined);
  }
  assert.deepEqual(told, [`+${both.digest}`, `+${here.digest}`, `+${there.digest}`]);
});

test('what lies elsewhere takes none of the store’s room, and makes none', async () => {
  const files = Array.from({ length: 4 }, (_, index) => blob(`elsewhere ${index}`));
  for (const { digest, bytes } of files) await source.put(digest, bytes);
  await own.close();
  own = await at.open({ maxSize: 16 * MIB });
  const also = open();
  const { store } = also;
  also.hash(idle);
  await holds(also, files.length);
  assert.deepEqual([store.usage().blobs, store.usage().partials], [0, 0]);
  const [first, ...others] = [blob('first'), blob('second'), blob('large', 6 * MIB)];
  for (const { digest, bytes } of [first!, ...others]) await store.put(digest, bytes, null);
  assert.equal(store.find(first!.digest), undefined, 'its room was needed');
  assert.notEqual(store.find(others[1]!.digest), undefined);
  for (const { digest, bytes } of files) {
    assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
  }
  assert.equal(also.totals().blobs, files.length);
});

test('closed, it is the store alone', async () => {
  const { bytes, digest } = blob('one', 1000);
  await source.put(digest, bytes);
  const also = open();
  also.hash(idle);
  await holds(also, 1);
  await close(also);
  assert.equal(also.store.find(digest), undefined);
  assert.equal(also.store.held(digest), undefined);
  assert.equal((await also.store.put(digest, bytes, null)).size, 1000);
  await rm(join(at.path, 'also.sqlite'));
});
