import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Source } from '../../../../agent/store/also/source.ts';
import { sameStamp, stampOf } from '../../../../agent/store/stamp.ts';
import type { Digest } from '../../../../protocol/digest.ts';
import { until } from '../../../support/host.ts';
import { content, digestOfBytes, never } from '../compliance.ts';

export interface SourceHarness {
  readonly source: Source;
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  remove(digest: Digest): Promise<void>;
  /** All of it is gone at once. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

const bytes = content('source', 5_000);
const digest = digestOfBytes(bytes);
const other = digestOfBytes(content('other', 3_000), 'sha512');

/** What every source must do. */
export function sourceCompliance(name: string, open: () => Promise<SourceHarness>): void {
  describe(name, () => {
    let harness: SourceHarness;
    let source: Source;

    beforeEach(async () => {
      harness = await open();
      source = harness.source;
    });
    afterEach(() => harness.close());

    const listed = async () => {
      const all = new Map<Digest, bigint>();
      for await (const { digest: each, stamp } of source.list(never)) all.set(each, stamp.size);
      return all;
    };

    test('lists digests of both algorithms with their sizes, and looks at one', async () => {
      await harness.put(digest, bytes);
      await harness.put(other, content('other', 3_000));
      assert.deepEqual(
        await listed(),
        new Map([
          [digest, 5_000n],
          [other, 3_000n],
        ]),
      );
      assert.equal((await source.look(other))?.size, 3_000n);
      await harness.remove(other);
      assert.equal(await source.look(other), undefined);
      assert.deepEqual([...(await listed()).keys()], [digest]);
    });

    test('what is opened looks as it was listed, and can be read to its end after it is removed', async () => {
      await harness.put(digest, bytes);
      const stamp = await source.look(digest);
      const file = await source.open(digest);
      try {
        assert.ok(stamp && sameStamp(stampOf(await file.stat({ bigint: true })), stamp));
        await harness.remove(digest);
        assert.ok(bytes.equals((await file.read(Buffer.alloc(5_000), 0, 5_000, 0)).buffer));
      } finally {
        await file.close();
      }
      await assert.rejects(source.open(digest), { code: 'ENOENT' });
    });

    test('another file of the same name looks otherwise', async () => {
      await harness.put(digest, bytes);
      const before = await source.look(digest);
      await harness.put(digest, bytes);
      const after = await source.look(digest);
      assert.ok(before && after && !sameStamp(before, after));
    });

    test('tells of what comes and goes, until nobody listens', async () => {
      await harness.put(other, content('other', 3_000));
      const told: (Digest | 'all')[] = [];
      const end = source.watch((what) => told.push(what));
      const isTold = () => told.includes(digest) || told.includes('all');
      await harness.put(digest, bytes);
      await until('told that it came', isTold);
      told.length = 0;
      await harness.remove(digest);
      await until('told that it went', isTold);
      end();
      told.length = 0;
      await harness.put(digest, bytes);
      await source.look(digest);
      assert.deepEqual(told, []);
    });

    test('all of it gone: a list says so, nothing is found, and its coming back is told', async () => {
      await harness.put(digest, bytes);
      const told: (Digest | 'all')[] = [];
      const end = source.watch((what) => told.push(what));
      await harness.put(other, content('other', 3_000));
      await until('told of anything', () => told.length > 0);
      assert.equal((await listed()).size, 2);
      told.length = 0;
      await harness.lose();
      await assert.rejects(listed(), { code: 'ENOENT' });
      assert.equal(await source.look(digest), undefined);
      await assert.rejects(source.open(digest), { code: 'ENOENT' });
      await until('told that all went', () => told.includes('all'));
      end();
    });

    test('a list ends with its signal', async () => {
      await harness.put(digest, bytes);
      const reason = new Error('enough');
      await assert.rejects(async () => {
        for await (const _ of source.list(AbortSignal.abort(reason))) assert.fail('listed');
      }, reason);
    });
  });
}
