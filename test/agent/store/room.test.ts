import assert from 'node:assert/strict';
import { access, type FileHandle, open } from 'node:fs/promises';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { pino } from 'pino';
import { isAgentError } from '../../../agent/errors.ts';
import { Account } from '../../../agent/store/account.ts';
import type { Candidate } from '../../../agent/store/eviction.ts';
import { systemFiles } from '../../../agent/store/files.ts';
import { Health } from '../../../agent/store/health.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { Room } from '../../../agent/store/room.ts';
import { until } from '../../support/host.ts';
import { content, digestOfBytes, hold, never } from './compliance.ts';
import { type Place, place, quiet } from './support.ts';

const MIB = 1024 * 1024;
let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

/** What every open file's methods come from: a quota needs a file system of its own, and root to make one. */
const FileHandlePrototype: FileHandle = await (async () => {
  const handle = await open('/dev/null');
  await handle.close();
  return Object.getPrototypeOf(handle);
})();

/** A disk of `size` MiB, of which others have `others` MiB and the store what it holds. */
function disk(size: number) {
  const state = { others: 0, held: () => 0 };
  const statfs = async () => ({
    bsize: 4096,
    blocks: (size * MIB) / 4096,
    bavail: Math.max(0, Math.floor((size * MIB - state.others * MIB - state.held()) / 4096)),
  });
  return { state, files: { ...systemFiles, statfs } };
}

function listening() {
  const lines: { level: number; msg: string }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { lines, logger };
}

test('others fill the disk: the store shrinks until so much is free again, and says so once', async () => {
  const { state, files } = disk(100);
  const { lines, logger } = listening();
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const store = await at.open({ maxSize: 50 * MIB, minFree: 20 * MIB }, { files, logger });
    state.held = () => store.totals().bytes;
    const blobs = Array.from({ length: 8 }, (_, index) => content(`others ${index}`, 2 * MIB));
    for (const bytes of blobs) await hold(store, bytes);
    const first = digestOfBytes(blobs[0]!);
    store.pin('image', [first]);
    assert.equal(store.totals().blobs, 8);

    state.others = 73;
    mock.timers.tick(10_000);
    await until('enough was let go', () => store.totals().bytes <= 7 * MIB);
    assert.equal(store.totals().blobs, 3, 'no more than is needed, and the slack');
    assert.notEqual(store.held(first), undefined, 'what is pinned stays');
    state.others = 0;
    // A tick while it looks is of no effect.
    await until('it was told', () => {
      mock.timers.tick(10_000);
      return lines.length >= 2;
    });
    mock.timers.tick(10_000);
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['others fill the disk of the store; it shrinks', 'the disk of the store has room again'],
    );
    await hold(store, content('others again', 2 * MIB));
    assert.equal(store.totals().blobs, 4);
  } finally {
    mock.timers.reset();
  }
});

test('where the disk has no room for it, it is refused and the state says so until something is stored', async () => {
  const { state, files } = disk(100);
  const { lines, logger } = listening();
  const store = await at.open({ maxSize: 50 * MIB, minFree: 20 * MIB }, { files, logger });
  state.others = 78;
  const bytes = content('no room', 4 * MIB);
  for (let rounds = 0; rounds < 3; rounds++) {
    await assert.rejects(store.openPartial(digestOfBytes(bytes), bytes.length, never), (error) => {
      assert.match((error as Error).message, /the disk has 22 MiB free, store\.minFree is 20 MiB$/);
      return isAgentError(error, 'STORE_FULL');
    });
    assert.equal(store.state().state, 'full');
  }
  state.others = 0;
  await hold(store, bytes);
  const { state: after, reason } = store.state();
  assert.deepEqual([after, reason], ['ok', null]);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['the store is full and nothing in it may go', 'the store stores again'],
  );
});

test('a disk that is smaller than the bound is filled all the same', async () => {
  const { state, files } = disk(60);
  const store = await at.open({ maxSize: 20 * 1024 * MIB, minFree: 20 * MIB }, { files });
  state.held = () => store.totals().bytes;
  for (let index = 0; index < 15; index++) {
    await hold(store, content(`small disk ${index}`, 4 * MIB));
    assert.ok(store.totals().bytes <= 40 * MIB);
    assert.ok(store.totals().blobs >= Math.min(index + 1, 8), `${store.totals().blobs} after ${index + 1}`);
  }
});

test('partials on their way count with what they will still write', async () => {
  const { files } = disk(100);
  const store = await at.open({ maxSize: 90 * MIB, minFree: 60 * MIB }, { files });
  const first = await store.openPartial(digestOfBytes(Buffer.from('1')), 25 * MIB, never);
  const second = { digest: digestOfBytes(Buffer.from('2')), size: 25 * MIB };
  await assert.rejects(store.openPartial(second.digest, second.size, never), (e) => isAgentError(e, 'STORE_FULL'));
  await first.discard();
  await (await store.openPartial(second.digest, second.size, never)).discard();
});

test('a bound that was lowered holds soon after the start; what goes is gone from the disk', async () => {
  const before = await at.open({ maxSize: 60 * MIB });
  const blobs = Array.from({ length: 10 }, (_, index) => content(`lowered ${index}`, 2 * MIB));
  for (const bytes of blobs) await hold(before, bytes);
  const digests = blobs.map((bytes) => digestOfBytes(bytes));
  before.find(digests[0]!);
  await before.close();

  const store = await at.open({ maxSize: 16 * MIB });
  const total = () => {
    const { blobs: held, partials, leaving, rest } = store.usage();
    return held + partials + leaving + rest;
  };
  await until('the bound holds', () => total() <= 16 * MIB);
  const held = digests.filter((digest) => store.held(digest) !== undefined);
  assert.deepEqual(held, [digests[0], ...digests.slice(10 - (held.length - 1))]);
  assert.ok(held.length >= 4);
  for (const digest of digests) {
    const there = await access(layoutAt(at.path).blob(digest)).then(
      () => true,
      () => false,
    );
    assert.equal(there, held.includes(digest));
  }
});

test('nobody says how large it may become: 20 GiB, or a fifth of the disk', async () => {
  assert.equal((await at.open({}, disk(50 * 1024))).usage().maxSize, 10 * 1024 * MIB);
  const other = await place();
  try {
    assert.equal((await other.open({}, disk(1024 * 1024))).usage().maxSize, 20 * 1024 * MIB);
  } finally {
    await other.leave();
  }
});

test('what was evicted is counted, and is private no longer than it is here', async () => {
  const counted = { blobs: 0, bytes: 0, used: 0, bound: 0 };
  const none = { set: () => {}, inc: () => {} };
  const add = (what: keyof typeof counted) => (value: number) => {
    counted[what] += value;
  };
  const set = (what: keyof typeof counted) => (value: number) => {
    counted[what] = value;
  };
  const metrics = {
    ...{ blobs: none, storedBytes: none, refusedChunks: none, storeState: none },
    evictedBlobs: { inc: add('blobs') },
    evictedBytes: { inc: add('bytes') },
    storeUsedBytes: { set: set('used') },
    storeBoundBytes: { set: set('bound') },
  };
  const store = await at.open({ maxSize: 16 * MIB }, { metrics });
  const [first, ...others] = Array.from({ length: 3 }, (_, index) => content(`counted ${index}`, 4 * MIB));
  store.keepPrivate(digestOfBytes(first!), 'docker.io');
  for (const bytes of [first!, ...others]) await hold(store, bytes);
  assert.equal(store.find(digestOfBytes(first!)), undefined);
  assert.equal(store.isPrivate(digestOfBytes(first!)), false);
  assert.deepEqual([counted.blobs, counted.bytes, counted.bound], [1, 4 * MIB, 16 * MIB]);
  assert.ok(counted.used > 8 * MIB && counted.used <= 16 * MIB);
});

test('a disk that takes no more than a quota allows: the store makes do with less, and stores again', async () => {
  let now = Date.now();
  const store = await at.open({ maxSize: 300 * MIB }, { now: () => now });
  const blobs = Array.from({ length: 4 }, (_, index) => content(`quota ${index}`, 2 * MIB));
  for (const bytes of blobs.slice(0, 3)) await hold(store, bytes);
  const last = digestOfBytes(blobs[3]!);
  const partial = await store.openPartial(last, 2 * MIB, never);
  const real = FileHandlePrototype.write;
  const full = mock.method(FileHandlePrototype, 'write', async () => {
    throw Object.assign(new Error('EDQUOT: disk quota exceeded, write'), { errno: -122, code: 'EDQUOT' });
  });
  await assert.rejects(partial.write(0, blobs[3]!.subarray(0, MIB)), (error) => isAgentError(error, 'STORE_FAILING'));
  full.mock.restore();
  assert.equal(FileHandlePrototype.write, real);
  assert.deepEqual([store.state().state, store.state().code], ['failing', 'EDQUOT']);
  await until('some of it went', () => store.totals().blobs < 3);
  await partial.discard();
  now += 5_000;
  await hold(store, blobs[3]!);
  assert.equal(store.state().state, 'ok');
});

test('who reserves waits for what has to go, and for nothing more', async () => {
  const layout = layoutAt(at.path);
  await (await at.open()).close();
  let held = 80 * MIB;
  const account = new Account(() => held);
  const going: { room: number; end(): void }[] = [];
  const candidate = (index: number): Candidate => ({
    ...{ digest: digestOfBytes(Buffer.from(`${index}`)), kind: 'blob', lastUsed: index },
    // The last two fit into what may go beyond what is needed.
    room: index === 0 ? 5.5 * MIB : MIB / 4,
  });
  const room = new Room(
    {
      ...{ layout, account, logger: quiet, metrics: undefined, files: disk(1000).files },
      health: new Health(quiet, Date.now, undefined, () => {}),
      blobs: () => [0, 1, 2].map(candidate),
      isKept: () => false,
      evict: (victims) =>
        victims.map((victim) => {
          held -= victim.room;
          const gone = account.leaves(victim.room);
          return new Promise<void>((resolve) => {
            going.push({
              room: victim.room,
              end: () => {
                gone();
                resolve();
              },
            });
          });
        }),
    },
    { maxSize: 100 * MIB, minFree: 0 },
  );
  let isGranted = false;
  // 80 MiB, some 5 MiB for the index, and 20 MiB more: 5 MiB have to go.
  const granting = room.reserve(digestOfBytes(Buffer.from('new')), 20 * MIB - 64 * 1024, false, () => 0);
  void granting.then(() => {
    isGranted = true;
  });
  await until('room is made', () => going.length > 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isGranted, false, 'nothing has gone yet');
  assert.equal(going.length, 3);
  going[0]!.end();
  await granting;
  assert.ok(account.total <= 100 * MIB);
  for (const one of going.slice(1)) one.end();
  await room.close();
});

test('what cannot be removed is tried once a look, not for as long as it is too much', async () => {
  const layout = layoutAt(at.path);
  await (await at.open()).close();
  const account = new Account(() => 0);
  const leftover = { room: MIB, lastUsed: 1 };
  for (let index = 0; index < 300; index++) account.leave(digestOfBytes(Buffer.from(`${index}`)), leftover);
  let tried = 0;
  const room = new Room(
    {
      ...{ layout, account, logger: quiet, metrics: undefined, files: disk(1000).files },
      health: new Health(quiet, Date.now, undefined, () => {}),
      blobs: () => [],
      isKept: () => false,
      // The disk became read-only: all of it lies there as before.
      evict: (victims) => {
        tried += victims.length;
        assert.ok(tried <= 300, 'again and again');
        return victims.map(() => Promise.resolve());
      },
    },
    { maxSize: 10 * MIB, minFree: 0 },
  );
  await room.look();
  assert.equal(tried, 256);
  await room.close();
});
