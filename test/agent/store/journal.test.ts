import assert from 'node:assert/strict';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import {
  encodeHeader,
  encodeRecord,
  HEADER_LENGTH,
  type JournalRecord,
  type Mark,
  RECORD_LENGTH,
  readJournal,
} from '../../../agent/store/journal-format.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import { bring, chunkOf, content, digestOfBytes, never, sha256 } from './compliance.ts';
import { interceptedFiles } from './intercepted-files.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;
const digest = digestOfBytes(Buffer.from('journal'), 'sha512');
const layout = layoutOf(20 * MIB);
const index = fc.nat(layout.count - 1);
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    index,
    source: fc.constantFrom('upstream' as const, 'peer' as const),
    sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
  fc.record({ index, source: fc.constant(undefined) }),
);

function marksOf(records: readonly JournalRecord[]): Mark[] {
  const marks = new Map<number, Mark>();
  for (const each of records) {
    if (each.source === undefined) marks.delete(each.index);
    else marks.set(each.index, { ...each });
  }
  return [...marks.values()].sort((a, b) => a.index - b.index);
}

const journalOf = (records: readonly JournalRecord[]) =>
  Buffer.concat([encodeHeader(digest, layout.size), ...records.map(encodeRecord)]);

test('what was written is what is read', () => {
  fc.assert(
    fc.property(fc.array(record), (records) => {
      assert.deepEqual(readJournal(journalOf(records), digest, layout), marksOf(records));
    }),
  );
});

test('torn anywhere, what is whole before the tear counts', () => {
  fc.assert(
    fc.property(fc.array(record), fc.nat(), (records, cut) => {
      const bytes = journalOf(records);
      const torn = bytes.subarray(0, cut % (bytes.length + 1));
      const whole = Math.max(0, Math.floor((torn.length - HEADER_LENGTH) / RECORD_LENGTH));
      const expected = torn.length < HEADER_LENGTH ? [] : marksOf(records.slice(0, whole));
      assert.deepEqual(readJournal(torn, digest, layout), expected);
    }),
  );
});

test('a damaged record is passed over, a hole is none', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1 }), fc.nat(), fc.nat(), (records, which, bit) => {
      const bytes = journalOf(records);
      const at = which % records.length;
      const start = HEADER_LENGTH + at * RECORD_LENGTH;
      bytes[start + ((bit >> 3) % RECORD_LENGTH)]! ^= 1 << (bit & 7);
      const rest = records.filter((_, index) => index !== at);
      assert.deepEqual(readJournal(bytes, digest, layout), marksOf(rest));
      bytes.fill(0, start, start + RECORD_LENGTH);
      assert.deepEqual(readJournal(bytes, digest, layout), marksOf(rest));
    }),
  );
});

test('a journal of another blob, size or format, or garbage, tells nothing', () => {
  const records: JournalRecord[] = [{ index: 0, source: 'peer', sha256: new Uint8Array(32) }];
  const bytes = journalOf(records);
  assert.equal(readJournal(bytes, digest, layout).length, 1);
  assert.deepEqual(readJournal(bytes, digestOfBytes(Buffer.from('other'), 'sha512'), layout), []);
  assert.deepEqual(readJournal(bytes, digest, layoutOf(layout.size + 1)), []);
  assert.deepEqual(readJournal(Buffer.from(bytes).fill('2', 7, 8), digest, layout), []);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (garbage) => {
      assert.deepEqual(readJournal(Buffer.from(garbage), digest, layout), []);
    }),
  );
});

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

test('on disk: a torn tail costs its chunk, and the journal goes on behind it', async () => {
  const bytes = content('torn', 4 * MIB);
  const blob = digestOfBytes(bytes);
  const journal = layoutAt(at.path).journal(blob);
  const store = await at.open();
  const first = await store.openPartial(blob, bytes.length, never);
  await bring(first, bytes, [0, 1, 2]);
  await first.close();
  await truncate(journal, (await stat(journal)).size - 7);
  const second = await store.openPartial(blob, bytes.length, never);
  assert.equal(second.marked, 2);
  await bring(second, bytes, [3]);
  await second.close();
  await writeFile(journal, Buffer.concat([await readFile(journal), Buffer.alloc(RECORD_LENGTH + 3, 0xff)]));
  const third = await store.openPartial(blob, bytes.length, never);
  assert.deepEqual(
    [0, 1, 2, 3].map((each) => third.sourceOf(each) !== undefined),
    [true, true, false, true],
  );
  await third.close();
});

test('a chunk whose bytes changed is dropped, the rest resumes', async () => {
  const bytes = content('flipped', 4 * MIB);
  const blob = digestOfBytes(bytes);
  const store = await at.open();
  const first = await store.openPartial(blob, bytes.length, never);
  await bring(first, bytes, [0, 1, 2, 3]);
  await first.close();
  const file = layoutAt(at.path).partial(blob);
  const onDisk = await readFile(file);
  onDisk[2 * MIB + 17]! ^= 4;
  await writeFile(file, onDisk);
  const second = await store.openPartial(blob, bytes.length, never);
  assert.equal(second.marked, 3);
  assert.equal(second.sourceOf(2), undefined);
  await bring(second, bytes, [2]);
  await second.commit(null);
});

test('a partial that is marked and unmarked for ever keeps a bounded journal', async () => {
  const bytes = content('bounded', 2 * MIB);
  const blob = digestOfBytes(bytes);
  const store = await at.open();
  const partial = await store.openPartial(blob, bytes.length, never);
  for (let round = 0; round < 100; round++) {
    await bring(partial, bytes, [1]);
    await partial.unmark([1]);
  }
  await bring(partial, bytes, [0]);
  await partial.close();
  assert.ok((await stat(layoutAt(at.path).journal(blob))).size <= HEADER_LENGTH + RECORD_LENGTH * (64 + 4 * 2));
  const again = await store.openPartial(blob, bytes.length, never);
  assert.deepEqual([again.sourceOf(0), again.sourceOf(1)], ['peer', undefined]);
  await again.discard();
});

test('an aborted resume leaves the partial to the next owner', async () => {
  const bytes = content('aborted', 3 * MIB);
  const blob = digestOfBytes(bytes);
  const store = await at.open();
  const first = await store.openPartial(blob, bytes.length, never);
  await bring(first, bytes, [0, 1, 2]);
  await first.close();
  await assert.rejects(store.openPartial(blob, bytes.length, AbortSignal.abort(new Error('enough'))), /enough/);
  const leaving = new AbortController();
  const opening = store.openPartial(blob, bytes.length, leaving.signal);
  leaving.abort(new Error('enough'));
  await assert.rejects(opening, /enough/);
  const second = await store.openPartial(blob, bytes.length, never);
  assert.equal(second.marked, 3);
  await second.discard();
});

/** File calls whose writes of records to a journal go through `around`. */
const aroundRecords = (around: (count: number) => Promise<void>) =>
  interceptedFiles(async (call, go) => {
    const length = call.bytes?.length ?? 0;
    const isRecords = call.kind === 'write' && call.path.includes('journal') && length % RECORD_LENGTH === 0;
    if (isRecords) await around(length / RECORD_LENGTH);
    return await go();
  });

test('chunks that are marked while a record is being written share the next write, and its failure', async () => {
  const bytes = content('together', 8 * MIB);
  const blob = digestOfBytes(bytes);
  const started = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  const counts: number[] = [];
  const files = aroundRecords(async (count) => {
    counts.push(count);
    started.resolve();
    if (counts.length === 1) await first.promise;
    if (counts.length === 2) throw Object.assign(new Error('EIO: write'), { code: 'EIO' });
  });
  const store = await at.open({}, { files });
  const partial = await store.openPartial(blob, bytes.length, never);
  for (let each = 0; each < 8; each++) await partial.write(each * MIB, chunkOf(bytes, each));
  const mark = (each: number) => partial.mark(each, sha256(chunkOf(bytes, each)), 'peer');
  const alone = mark(0);
  await started.promise;
  const together = [1, 2, 3, 4, 5, 6, 7].map(mark);
  assert.equal(partial.marked, 0, 'a chunk counts once its record is written');
  first.resolve();
  const settled = await Promise.allSettled([alone, ...together]);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', ...together.map(() => 'rejected')],
  );
  assert.equal(partial.marked, 1);
  await Promise.all([1, 2, 3, 4, 5, 6, 7].map(mark));
  assert.deepEqual(counts, [1, 7, 7]);
  await partial.close();
  const again = await store.openPartial(blob, bytes.length, never);
  assert.equal(again.marked, 8);
  await again.commit(null);
});

test('whatever is marked and unmarked at once, a journal that is written anew tells the same', async () => {
  const bytes = content('anew', 6 * MIB);
  const blob = digestOfBytes(bytes);
  const store = await at.open();
  let partial = await store.openPartial(blob, bytes.length, never);
  const chunks = [0, 1, 2, 3, 4, 5];
  await bring(partial, bytes, chunks);
  const mark = (each: number) => partial.mark(each, sha256(chunkOf(bytes, each)), 'upstream');
  // A journal of six chunks is written anew after 88 records, at whatever round that is.
  for (let rounds = 15; rounds < 30; rounds++) {
    for (let round = 0; round < rounds; round++) {
      const [off, ...on] = [0, 1, 3, 4, 5].map((each) => (each + round) % 6);
      await Promise.all([...on.map(mark), partial.unmark([off as number])]);
    }
    const known = chunks.map((each) => partial.sourceOf(each));
    assert.ok(known.includes(undefined) && known.includes('upstream'));
    await partial.close();
    partial = await store.openPartial(blob, bytes.length, never);
    assert.deepEqual(
      chunks.map((each) => partial.sourceOf(each)),
      known,
      `after ${rounds} rounds`,
    );
  }
  await partial.discard();
});
