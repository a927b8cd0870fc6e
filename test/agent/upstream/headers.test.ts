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

/** Half well-formed, half not. */
const nearly = (...units: string[]) =>
  fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom(...units), { maxLength: 10 }).map((all) => all.join('')),
  );

test('no Content-Range makes it throw, or say what cannot be', () => {
  fc.assert(
    fc.property(nearly('bytes ', 'bytes', '0', '9', '-', '/', '*', '123', ' ', '9007199254740993', '\n'), (text) => {
      const range = parseContentRange(text);
      if (range === undefined) return;
      const { start, end, size } = range;
      assert.equal(start === undefined, end === undefined, text);
      if (start !== undefined && end !== undefined) assert.ok(start >= 0 && start < end && end <= (size ?? end), text);
      const written = start === undefined || end === undefined ? '*' : `${start}-${end - 1}`;
      assert.deepEqual(parseContentRange(`bytes ${written}/${size ?? '*'}`), range, text);
    }),
    { numRuns: 2_000 },
  );
});

test('Retry-After as it is written, and whatever comes a wait that has an end', () => {
  const now = Date.UTC(2030, 0, 1);
  fc.assert(
    fc.property(fc.nat(10 ** 9 - 1), (seconds) => {
      assert.equal(retryAfter(String(seconds), now), seconds * 1000);
      assert.equal(retryAfter(new Date(now + seconds * 1000).toUTCString(), now), seconds * 1000);
    }),
  );
  const garbage = nearly('0', '9', '99999999999', 'Jan', 'GMT', ' ', ':', '-', 'e', '2030', '\n', 'Z');
  fc.assert(
    fc.property(garbage, (text) => {
      const wait = retryAfter(text, now);
      assert.ok(wait === undefined || (Number.isFinite(wait) && wait >= 0), text);
    }),
    { numRuns: 2_000 },
  );
});
