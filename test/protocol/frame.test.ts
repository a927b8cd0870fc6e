import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, frameHead } from '../../protocol/frame.ts';
import { MAX_FRAME_LENGTH } from '../../protocol/messages.ts';

test('a frame’s head gives its body back, whatever follows', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_FRAME_LENGTH }), fc.uint8Array(), (length, rest) => {
      const body = new Uint8Array(length).fill(7);
      const bytes = Buffer.concat([encodeFrame(body), rest]);
      const head = frameHead(bytes);
      assert.ok(head.kind === 'frame');
      assert.deepEqual(Buffer.compare(bytes.subarray(head.start, head.start + head.length), body), 0);
      assert.equal(head.start + head.length + rest.length, bytes.length);
    }),
  );
});

test('no prefix of a length is taken for one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_FRAME_LENGTH }), (length) => {
      const frame = encodeFrame(new Uint8Array(length));
      const head = frameHead(frame);
      assert.ok(head.kind === 'frame');
      for (let cut = 0; cut < head.start; cut++) {
        assert.equal(frameHead(frame.subarray(0, cut)).kind, 'incomplete');
      }
    }),
  );
});

test('lengths beyond the bound and second spellings are malformed', () => {
  const over = MAX_FRAME_LENGTH + 1;
  const prefix = [(over & 0x7f) | 0x80, ((over >> 7) & 0x7f) | 0x80, over >> 14];
  assert.equal(frameHead(Uint8Array.from(prefix)).kind, 'malformed');
  assert.equal(frameHead(Uint8Array.from([0x80, 0x00])).kind, 'malformed');
  assert.equal(frameHead(Uint8Array.from([0x85, 0x80, 0x00])).kind, 'malformed');
  assert.equal(frameHead(Uint8Array.from([0xff, 0xff, 0xff, 0xff])).kind, 'malformed');
  assert.equal(frameHead(Uint8Array.from([0xff, 0xff, 0xff, 0x7f])).kind, 'malformed');
  assert.throws(() => encodeFrame(new Uint8Array(over)), RangeError);
});

test('any bytes are a frame within bounds, incomplete or malformed; a frame has one spelling', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
      const head = frameHead(bytes);
      if (head.kind !== 'frame') return;
      assert.ok(head.length <= MAX_FRAME_LENGTH);
      const spelt = encodeFrame(new Uint8Array(head.length)).subarray(0, head.start);
      assert.equal(Buffer.compare(spelt, bytes.subarray(0, head.start)), 0);
    }),
    { numRuns: 2_000 },
  );
});
