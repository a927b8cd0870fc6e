import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { parseContentLength, parseContentRange } from '../../../agent/upstream/content-range.ts';
import { retryAfter } from '../../../agent/upstream/retry-after.ts';

test('Content-Range of a part', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (start, length, rest) => {
      const size = start + length + 1 + rest;
      assert.deepEqual(parseContentRange(`bytes ${start}-${start + length}/${size}`), {
        start,
        end: start + length + 1,
        size,
      });
      assert.deepEqual(parseContentRange(`bytes ${start}-${start + length}/*`), {
        start,
        end: start + length + 1,
        size: undefined,
      });
    }),
  );
});

test('Content-Range that makes no sense', () => {
  assert.deepEqual(parseContentRange('bytes */10'), { start: undefined, end: undefined, size: 10 });
  for (const text of [undefined, '', 'bytes 5-4/10', 'bytes 0-10/10', 'bytes 0-9', 'items 0-9/10', 'bytes -1-2/10']) {
    assert.equal(parseContentRange(text), undefined, `${text}`);
  }
  assert.equal(parseContentRange('bytes 0-9/9999999999999999'), undefined);
});

test('Content-Length', () => {
  assert.equal(parseContentLength('0'), 0);
  assert.equal(parseContentLength('123'), 123);
  for (const text of [undefined, '', '-1', '1e3', '9999999999999999', ' 1']) {
    assert.equal(parseContentLength(text), undefined, `${text}`);
  }
});

test('Retry-After as seconds and as a date', () => {
  const now = Date.UTC(2030, 0, 1);
  assert.equal(retryAfter('3', now), 3000);
  assert.equal(retryAfter(new Date(now + 4000).toUTCString(), now), 4000);
  assert.equal(retryAfter(new Date(now - 4000).toUTCString(), now), 0);
  for (const text of [undefined, '', 'soon', '-1', '1.5']) assert.equal(retryAfter(text, now), undefined, `${text}`);
});
