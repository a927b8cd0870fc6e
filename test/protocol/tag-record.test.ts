import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from 'cborg';
import fc from 'fast-check';
import { MAX_BLOB_SIZE } from '../../protocol/chunks.ts';
import { toDigest } from '../../protocol/digest.ts';
import { MAX_CHECKED_AT, tagStatement } from '../../protocol/tag-record.ts';

const text = fc.string({ minLength: 1, maxLength: 20 });
const said = fc.record({
  registry: text,
  repository: text,
  tag: text,
  accept: text,
  digest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => toDigest('sha256', hash)),
  mediaType: text,
  size: fc.integer({ min: 0, max: MAX_BLOB_SIZE }),
  checkedAt: fc.integer({ min: 0, max: MAX_CHECKED_AT }),
});
const KEYS = ['registry', 'repository', 'tag', 'accept', 'digest', 'mediaType', 'size', 'checkedAt'] as const;

test('a statement names its format, the tag and what was said of it, in that order, and nothing else', () => {
  fc.assert(
    fc.property(said, (one) => {
      assert.deepEqual(decode(tagStatement(one, one)), ['layerlan/tag/1', ...KEYS.map((key) => one[key])]);
    }),
  );
});

test('what differs in anything is another statement', () => {
  fc.assert(
    fc.property(said, said, fc.constantFrom(...KEYS), (one, other, key) => {
      const changed = { ...one, [key]: other[key] };
      const isSame = Buffer.compare(tagStatement(one, one), tagStatement(changed, changed)) === 0;
      assert.equal(isSame, one[key] === other[key]);
    }),
  );
});
