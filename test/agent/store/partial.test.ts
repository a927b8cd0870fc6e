import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { layoutAt } from '../../../agent/store/layout.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import { chunkOf, content, digestOfBytes, never, sha256 } from './compliance.ts';
import { interceptedFiles } from './intercepted-files.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

test('a blob is written to by two writes at a time, and one that fails holds up none', async () => {
  const bytes = content('in turn', 6 * MIB);
  const blob = digestOfBytes(bytes);
  const path = layoutAt(at.path).partial(blob);
  const under = new Set<number>();
  let most = 0;
  const begun: number[] = [];
  const files = interceptedFiles(async (call, go) => {
    if (call.kind !== 'write' || call.path !== path) return await go();
    const position = call.position as number;
    begun.push(position / MIB);
    under.add(position);
    most = Math.max(most, under.size);
    try {
      await new Promise(setImmediate);
      if (position === 2 * MIB) throw Object.assign(new Error('EIO: write'), { code: 'EIO' });
      return await go();
    } finally {
      under.delete(position);
    }
  });
  const store = await at.open({}, { files });
  const partial = await store.openPartial(blob, bytes.length, never);
  const chunks = [...Array(layoutOf(bytes.length).count).keys()];
  const written = await Promise.allSettled(chunks.map((index) => partial.write(index * MIB, chunkOf(bytes, index))));
  assert.deepEqual(
    written.map(({ status }) => status === 'fulfilled'),
    [true, true, false, true, true, true],
  );
  assert.deepEqual([most, begun.toSorted()], [2, chunks]);
  for (const index of chunks) if (index !== 2) await partial.mark(index, sha256(chunkOf(bytes, index)), 'peer');
  assert.deepEqual(Buffer.from(await partial.read(3 * MIB, MIB)), chunkOf(bytes, 3));
  await partial.close();
});

test('what waits for its turn is written before the file is closed', async () => {
  const bytes = content('closing', 4 * MIB);
  const store = await at.open();
  const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
  const writes = [0, 1, 2, 3].map((index) => partial.write(index * MIB, chunkOf(bytes, index)));
  const closed = partial.close();
  await Promise.all(writes);
  await closed;
});

test('a blob does not wait for writes to another', async () => {
  const [slow, quick] = [content('slow', 2 * MIB), content('quick', 2 * MIB)];
  const held = Promise.withResolvers<void>();
  const path = layoutAt(at.path).partial(digestOfBytes(slow));
  const files = interceptedFiles(async (call, go) => {
    if (call.kind === 'write' && call.path === path) await held.promise;
    return await go();
  });
  const store = await at.open({}, { files });
  const partials = await Promise.all(
    [slow, quick].map((bytes) => store.openPartial(digestOfBytes(bytes), bytes.length, never)),
  );
  const waiting = partials[0]?.write(0, chunkOf(slow, 0));
  await partials[1]?.write(0, chunkOf(quick, 0));
  held.resolve();
  await waiting;
  for (const partial of partials) await partial.close();
});
