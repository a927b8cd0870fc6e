import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { InspectedBlob, Inspection } from '../../../agent/upkeep/ports.ts';
import { SCRUB_RATE, Scrub } from '../../../agent/upkeep/scrub.ts';
import type { Digest } from '../../../protocol/digest.ts';

const MIB = 1024 * 1024;
const PIECE = 4 * MIB;
const HOUR = 3_600_000;
const WEEK = 7 * 24 * HOUR;

/** Time that passes only where somebody sleeps, and blobs whose every byte is read in it. */
function world(blobs: { size: number; checkedAt: number; failure?: Error }[]) {
  const held = new Map<Digest, InspectedBlob>();
  const failures = new Map<Digest, Error>();
  for (const [index, { size, checkedAt, failure }] of blobs.entries()) {
    const digest = `sha256:${index.toString(16).padStart(64, '0')}` as Digest;
    if (failure !== undefined) failures.set(digest, failure);
    held.set(digest, {
      ...{ digest, size, checkedAt, mediaType: null },
      ...{ lastUsed: 0, isPrivate: false, isPinned: false },
    });
  }
  const state = { now: 10 * WEEK, isBusy: false, reads: [] as { at: number; digest: Digest; bytes: number }[] };
  const byCheck = (a: Pick<InspectedBlob, 'checkedAt' | 'digest'>, b: Pick<InspectedBlob, 'checkedAt' | 'digest'>) =>
    a.checkedAt - b.checkedAt || (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0);
  const inspection: Inspection = {
    blob: (digest) => held.get(digest),
    blobs: () => [],
    manifests: () => [],
    checkedUntil: (until, after, limit) =>
      [...held.values()]
        .filter((blob) => blob.checkedAt <= until && (after === undefined || byCheck(blob, after) > 0))
        .sort(byCheck)
        .slice(0, limit),
    isTouched: async () => false,
    bytes: async () => undefined,
    async check(digest, pace) {
      const blob = held.get(digest);
      if (blob === undefined) return 'gone';
      const failure = failures.get(digest);
      if (failure !== undefined) throw failure;
      for (let at = 0; at < blob.size; at += PIECE) {
        const bytes = Math.min(PIECE, blob.size - at);
        state.reads.push({ at: state.now, digest, bytes });
        await pace(bytes);
      }
      held.set(digest, { ...blob, checkedAt: state.now });
      return 'good';
    },
    isBusy: () => state.isBusy,
  };
  return { state, held, inspection };
}

/** Runs a scrub until `until` of its time. */
async function scrubbed({ state, inspection }: ReturnType<typeof world>, until: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const scrub = new Scrub({
    inspection,
    logger: pino({ level: 'silent' }),
    now: () => state.now,
    sleep: async (milliseconds, signal) => {
      signal.throwIfAborted();
      state.now += milliseconds;
      // The turn in which the test stops it must come.
      if (state.now >= until) {
        resolve();
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      }
    },
  });
  scrub.start();
  await promise;
  await scrub.stop();
}

test('what is due is read no faster than it may, the longest unchecked first, and what is not due is left', async () => {
  const all = world([
    { size: 64 * MIB, checkedAt: 2 * WEEK },
    { size: 32 * MIB, checkedAt: WEEK },
    { size: MIB, checkedAt: 9.5 * WEEK },
  ]);
  const start = all.state.now;
  await scrubbed(all, start + HOUR);
  const { reads } = all.state;
  assert.ok(reads[0]!.at >= start + 60_000, 'not as the agent starts');
  assert.equal(
    reads.reduce((sum, { bytes }) => sum + bytes, 0),
    96 * MIB,
  );
  assert.deepEqual(
    [...new Set(reads.map(({ digest }) => Number.parseInt(digest.slice(-1), 16)))],
    [1, 0],
    'each once, the third not at all',
  );
  for (const [index, { at }] of reads.entries()) {
    if (index === 0) continue;
    const since = (at - reads[0]!.at) / 1000;
    const before = reads.slice(0, index).reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(before <= since * SCRUB_RATE + 1, `${before} bytes in ${since} s`);
  }
});

test('it goes on after a restart with what it had not come to, and comes back when a blob is due again', async () => {
  const all = world([
    { size: 64 * MIB, checkedAt: WEEK },
    { size: 64 * MIB, checkedAt: 2 * WEEK },
  ]);
  // The first takes 8 s: it is stopped in the second.
  await scrubbed(all, all.state.now + 60_000 + 12_000);
  const first = all.state.reads.length;
  assert.ok(first > 16 && first < 32, `${first} pieces`);
  all.state.reads.length = 0;
  await scrubbed(all, all.state.now + HOUR);
  assert.equal(all.state.reads.length, 16, 'the first is not read again');
  assert.ok(all.state.reads.every(({ digest }) => digest.endsWith('1')));
  all.state.reads.length = 0;
  await scrubbed(all, all.state.now + 1.1 * WEEK);
  assert.equal(all.state.reads.length, 32);
});

test('it gives way to pulls, though not for ever', async () => {
  const all = world([{ size: 32 * MIB, checkedAt: WEEK }]);
  all.state.isBusy = true;
  const start = all.state.now;
  await scrubbed(all, start + 60_000 + 45_000);
  const busy = all.state.reads;
  assert.ok(busy.length >= 3 && busy.length <= 5, `${busy.length} pieces in 45 s`);
  assert.ok(busy[0]!.at >= start + 60_000 + 10_000);
});

test('a blob that cannot be read does not end it', async () => {
  const all = world([
    { size: MIB, checkedAt: WEEK, failure: Object.assign(new Error('too many'), { code: 'EMFILE' }) },
    { size: MIB, checkedAt: 2 * WEEK },
  ]);
  await scrubbed(all, all.state.now + HOUR);
  assert.equal(all.state.reads.length, 1);
});
