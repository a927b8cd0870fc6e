import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from 'cborg';
import fc from 'fast-check';
import { MAX_CHUNK_MAP_LENGTH } from '../../protocol/chunk-map.ts';
import { MAX_BLOB_SIZE, MAX_CHUNKS } from '../../protocol/chunks.ts';
import { toDigest } from '../../protocol/digest.ts';
import {
  type ChunkAnswer,
  type ChunkRequest,
  type Codec,
  type ControlAnswer,
  type ControlRequest,
  chunkAnswers,
  chunkRequests,
  controlAnswers,
  controlRequests,
  MAX_ANNOUNCED,
  MAX_FRAME_LENGTH,
} from '../../protocol/messages.ts';

const digest = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => toDigest('sha256', hash)),
  fc.uint8Array({ minLength: 64, maxLength: 64 }).map((hash) => toDigest('sha512', hash)),
);
const id = fc.integer({ min: 0, max: 0xffff_ffff });
const size = fc.integer({ min: 0, max: MAX_BLOB_SIZE });
const index = fc.integer({ min: 0, max: MAX_CHUNKS - 1 });
const root = fc.uint8Array({ minLength: 32, maxLength: 32 });

const controlRequest: fc.Arbitrary<ControlRequest> = fc.oneof(
  fc.record({ type: fc.constant('have' as const), id, digest }),
  fc.record({ type: fc.constant('map' as const), id, digest }),
  fc.record({
    type: fc.constant('hold' as const),
    blobs: fc.array(fc.tuple(digest, size, root), { minLength: 1, maxLength: 20 }),
  }),
  fc.record({ type: fc.constant('drop' as const), digests: fc.array(digest, { minLength: 1, maxLength: 20 }) }),
  fc.record({ type: fc.constant('complete' as const), truncated: fc.boolean() }),
);
const controlAnswer: fc.Arbitrary<ControlAnswer> = fc.oneof(
  fc.record({ type: fc.constant('holding' as const), id, size, root }),
  fc.record({ type: fc.constant('map' as const), id, map: fc.uint8Array({ minLength: 1, maxLength: 1_000 }) }),
  fc.record({ type: fc.constantFrom('missing' as const, 'busy' as const), id }),
);
const chunkRequest: fc.Arbitrary<ChunkRequest> = fc.record({ digest, index });
const chunkAnswer: fc.Arbitrary<ChunkAnswer> = fc.oneof(
  fc.record({ type: fc.constant('chunk' as const), length: size }),
  fc.record({ type: fc.constantFrom('missing' as const, 'busy' as const) }),
);

function roundTrips<Message>(name: string, codec: Codec<Message>, messages: fc.Arbitrary<Message>): void {
  const plain = (message: unknown) =>
    JSON.stringify(message, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value));

  test(`${name}: what is encoded is decoded the same, in a frame's bounds`, () => {
    fc.assert(
      fc.property(messages, (message) => {
        const body = codec.encode(message);
        assert.ok(body.length <= MAX_FRAME_LENGTH);
        const back = codec.decode(body) as Message;
        assert.deepEqual(Object.keys(back as object).sort(), Object.keys(message as object).sort());
        for (const key of Object.keys(message as object) as (keyof Message)[]) {
          assert.equal(plain(back[key]), plain(message[key]));
        }
      }),
    );
  });

  test(`${name}: cut short, followed by more, or with a field too many it is refused`, () => {
    fc.assert(
      fc.property(messages, fc.nat(), (message, at) => {
        const body = codec.encode(message);
        assert.equal(codec.decode(body.subarray(0, at % body.length)), undefined);
        assert.equal(codec.decode(Buffer.concat([body, Uint8Array.of(0)])), undefined);
        assert.equal(codec.decode(encode({ ...message, extra: 1 })), undefined);
      }),
    );
  });

  test(`${name}: no bytes make it throw`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        codec.decode(bytes);
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(messages, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, at, change) => {
        const body = codec.encode(message);
        body[at % body.length] = (body[at % body.length] ?? 0) ^ change;
        codec.decode(body);
      }),
      { numRuns: 1_000 },
    );
  });
}

roundTrips('control requests', controlRequests, controlRequest);
roundTrips('control answers', controlAnswers, controlAnswer);
roundTrips('chunk requests', chunkRequests, chunkRequest);
roundTrips('chunk answers', chunkAnswers, chunkAnswer);

test('a message has one encoding: another order of keys, and a whole number as a float, are refused', () => {
  const digest = toDigest('sha256', Buffer.alloc(32));
  const shuffled = { mapSorter: (one: unknown[], two: unknown[]) => Buffer.compare(encode(two[0]), encode(one[0])) };
  for (const [codec, message] of [
    [controlRequests, { type: 'have', id: 9, digest }],
    [controlAnswers, { type: 'holding', id: 9, size: 9, root: new Uint8Array(32) }],
    [chunkRequests, { digest, index: 9 }],
    [chunkAnswers, { type: 'chunk', length: 9 }],
  ] as [Codec<unknown>, Record<string, unknown>][]) {
    assert.deepEqual(codec.decode(encode(message)), message);
    assert.equal(codec.decode(encode(message, shuffled)), undefined);
    const body = Buffer.from(encode(message)).toString('hex');
    for (const float of ['f94880', 'fa41100000', 'fb4022000000000000']) {
      // 9 is one byte, behind the key of the number.
      for (const key of ['6269 64', '6473697a65', '65696e646578', '666c656e677468'].map((hex) =>
        hex.replace(' ', ''),
      )) {
        if (!body.includes(`${key}09`)) continue;
        assert.equal(codec.decode(Buffer.from(body.replace(`${key}09`, key + float), 'hex')), undefined, key);
      }
    }
  }
  const minusZero = Buffer.from(encode({ type: 'missing', id: 0 }))
    .toString('hex')
    .replace('62696400', '626964f98000');
  assert.equal(controlAnswers.decode(Buffer.from(minusZero, 'hex')), undefined);
});

test('the largest chunk map goes into a frame', () => {
  const map = new Uint8Array(MAX_CHUNK_MAP_LENGTH);
  const body = controlAnswers.encode({ type: 'map', id: 0xffff_ffff, map });
  assert.ok(body.length <= MAX_FRAME_LENGTH);
  assert.equal(controlAnswers.decode(body)?.type, 'map');
});

test('the largest announcements go into a frame', () => {
  const longest = toDigest('sha512', Buffer.alloc(64, 0xff));
  const blobs = Array.from({ length: MAX_ANNOUNCED }, () => [longest, MAX_BLOB_SIZE, new Uint8Array(32)] as const);
  for (const message of [
    { type: 'hold', blobs: blobs.map((entry) => [...entry]) },
    { type: 'drop', digests: blobs.map(() => longest) },
  ] as ControlRequest[]) {
    const body = controlRequests.encode(message);
    assert.ok(body.length <= MAX_FRAME_LENGTH);
    assert.equal(controlRequests.decode(body)?.type, message.type);
  }
});

test('values out of bounds are refused', () => {
  const digest = toDigest('sha256', Buffer.alloc(32));
  const root = new Uint8Array(32);
  const entry = [digest, 1, root];
  for (const [codec, value] of [
    [controlRequests, { type: 'have', id: -1, digest }],
    [controlRequests, { type: 'have', id: 2 ** 32, digest }],
    [controlRequests, { type: 'have', id: 1, digest: `${digest}\n` }],
    [controlRequests, { type: 'have', id: 1, digest: digest.toUpperCase() }],
    [controlRequests, { type: 'lease', id: 1, digest }],
    [controlRequests, { type: 'hold', blobs: [] }],
    [controlRequests, { type: 'hold', blobs: Array.from({ length: MAX_ANNOUNCED + 1 }, () => entry) }],
    [controlRequests, { type: 'hold', blobs: [[digest, 1]] }],
    [controlRequests, { type: 'hold', blobs: [[...entry, 1]] }],
    [controlRequests, { type: 'hold', blobs: [[digest, 1.5, root]] }],
    [controlRequests, { type: 'hold', blobs: [[digest, 1, root.subarray(1)]] }],
    [controlRequests, { type: 'hold', blobs: [entry], id: 1 }],
    [controlRequests, { type: 'drop', digests: [] }],
    [controlRequests, { type: 'drop', digests: Array.from({ length: MAX_ANNOUNCED + 1 }, () => digest) }],
    [controlRequests, { type: 'drop', digests: [1] }],
    [controlRequests, { type: 'complete' }],
    [controlRequests, { type: 'complete', truncated: 0 }],
    [controlAnswers, { type: 'holding', id: 1, size: MAX_BLOB_SIZE + 1, root }],
    [controlAnswers, { type: 'holding', id: 1, size: 0.5, root }],
    [controlAnswers, { type: 'holding', id: 1, size: 1, root: root.subarray(1) }],
    [controlAnswers, { type: 'map', id: 1, map: new Uint8Array(0) }],
    [chunkRequests, { digest, index: MAX_CHUNKS }],
    [chunkRequests, { digest, index: -1 }],
    [chunkAnswers, { type: 'chunk', length: Number.NaN }],
    [chunkAnswers, { type: 'chunk', length: -1 }],
    [chunkAnswers, ['chunk', 1]],
  ] as [Codec<unknown>, unknown][]) {
    assert.equal(codec.decode(encode(value)), undefined, JSON.stringify(value));
  }
});
