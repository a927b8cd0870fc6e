import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from 'cborg';
import fc from 'fast-check';
import { MAX_BLOB_SIZE, MAX_CHUNKS } from '../../protocol/chunks.ts';
import { toDigest } from '../../protocol/digest.ts';
import { markStatement } from '../../protocol/mark.ts';

const statement = fc.record({
  digest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => toDigest('sha256', hash)),
  size: fc.integer({ min: 0, max: MAX_BLOB_SIZE }),
  index: fc.integer({ min: 0, max: MAX_CHUNKS - 1 }),
  sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

test('a statement names its format, blob, size, chunk and hash, and nothing else', () => {
  fc.assert(
    fc.property(statement, ({ digest, size, index, sha256 }) => {
      const [format, ...rest] = decode(markStatement(digest, size, index, sha256)) as unknown[];
      assert.equal(format, 'layerlan/mark/1');
      assert.deepEqual(rest.slice(0, 3), [digest, size, index]);
      assert.deepEqual(Buffer.from(rest[3] as Uint8Array), Buffer.from(sha256));
      assert.equal(rest.length, 4);
    }),
  );
});

test('what differs in anything is another statement', () => {
  fc.assert(
    fc.property(statement, statement, (one, other) => {
      const same =
        one.digest === other.digest &&
        one.size === other.size &&
        one.index === other.index &&
        Buffer.compare(one.sha256, other.sha256) === 0;
      const [first, second] = [one, other].map(({ digest, size, index, sha256 }) =>
        markStatement(digest, size, index, sha256),
      ) as [Uint8Array, Uint8Array];
      assert.equal(Buffer.compare(first, second) === 0, same);
    }),
  );
});
