import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from 'cborg';
import fc from 'fast-check';
import { bitmapOf, setBit } from '../../protocol/bitmap.ts';
import { MAX_CHUNK_MAP_LENGTH } from '../../protocol/chunk-map.ts';
import { layoutOf, MAX_BLOB_SIZE, MAX_CHUNKS } from '../../protocol/chunks.ts';
import { toDigest } from '../../protocol/digest.ts';
import { MARK_SIGNATURE_LENGTH } from '../../protocol/mark.ts';
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
  type LaneAnswer,
  laneAnswers,
  laneRequests,
  MAX_ANNOUNCED,
  MAX_FRAME_LENGTH,
  MAX_LEASES,
  MAX_NAMED,
} from '../../protocol/messages.ts';
import { MAX_ACCEPT, MAX_CHECKED_AT, MAX_MEDIA_TYPE, MAX_TAG_NAMES } from '../../protocol/tag-record.ts';

const digest = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => toDigest('sha256', hash)),
  fc.uint8Array({ minLength: 64, maxLength: 64 }).map((hash) => toDigest('sha512', hash)),
);
const id = fc.integer({ min: 0, max: 0xffff_ffff });
const size = fc.integer({ min: 0, max: MAX_BLOB_SIZE });
const index = fc.integer({ min: 0, max: MAX_CHUNKS - 1 });
const root = fc.uint8Array({ minLength: 32, maxLength: 32 });

const peer = fc.string({ minLength: 1, maxLength: 64 });
const text = fc.string({ minLength: 1, maxLength: 100 });
const named = fc.array(peer, { maxLength: MAX_NAMED });
const takenSize = fc.option(size);

/** Of `count` chunks at least one. */
const segmentOf = (count: number): fc.Arbitrary<[number, number]> =>
  fc
    .tuple(fc.integer({ min: 0, max: count - 1 }), fc.integer({ min: 1, max: count }))
    .map(([one, other]) => (one < other ? [one, other] : [other - 1, one + 1]));

const bitmapArbitrary = (count: number): fc.Arbitrary<Uint8Array> =>
  fc.uniqueArray(fc.integer({ min: 0, max: Math.max(count - 1, 0) }), { maxLength: 20 }).map((indexes) => {
    const bitmap = bitmapOf(count);
    for (const index of indexes) if (index < count) setBit(bitmap, index);
    return bitmap;
  });

const taking = takenSize.chain((size): fc.Arbitrary<ControlRequest> => {
  const count = size === null ? 1 : layoutOf(size).count;
  return fc.record({
    type: fc.constant('taking' as const),
    digest,
    size: fc.constant(size),
    marks: bitmapArbitrary(count),
    mapped: fc.option(fc.tuple(root, bitmapArbitrary(count)), { nil: null }),
    leases: count === 0 ? fc.constant([]) : fc.array(segmentOf(count), { maxLength: MAX_LEASES }),
    received: fc.integer({ min: 0, max: MAX_BLOB_SIZE }),
  });
});

const controlRequest: fc.Arbitrary<ControlRequest> = fc.oneof(
  fc.record({ type: fc.constant('have' as const), id, digest }),
  fc.record({ type: fc.constant('map' as const), id, digest }),
  fc.record({ type: fc.constant('tag' as const), id, registry: text, repository: text, tag: text, accept: text }),
  fc.record({
    type: fc.constant('hold' as const),
    blobs: fc.array(fc.tuple(digest, size, root), { minLength: 1, maxLength: 20 }),
  }),
  fc.record({ type: fc.constant('drop' as const), digests: fc.array(digest, { minLength: 1, maxLength: 20 }) }),
  fc.record({ type: fc.constant('complete' as const), truncated: fc.boolean() }),
  taking,
  fc.record({ type: fc.constant('left' as const), digest }),
  fc.record({ type: fc.constant('claim' as const), digest, size: takenSize, first: index }),
  fc.record({ type: fc.constant('grant' as const), digest, segment: segmentOf(MAX_CHUNKS), partners: named }),
  fc.record({ type: fc.constant('refuse' as const), digest, fetching: named, partners: named }),
  fc.record({
    type: fc.constant('accuse' as const),
    digest,
    size,
    index,
    sha256: root,
    mark: fc.tuple(peer, fc.uint8Array({ minLength: MARK_SIGNATURE_LENGTH, maxLength: MARK_SIGNATURE_LENGTH })),
  }),
  fc.record({ type: fc.constant('vouch' as const), digest, size, index, sha256: root }),
);
const controlAnswer: fc.Arbitrary<ControlAnswer> = fc.oneof(
  fc.record({ type: fc.constant('holding' as const), id, size, root }),
  fc.record({ type: fc.constant('map' as const), id, map: fc.uint8Array({ minLength: 1, maxLength: 1_000 }) }),
  fc.record({
    type: fc.constant('tag' as const),
    id,
    accept: text,
    digest,
    mediaType: text,
    size,
    checkedAt: fc.integer({ min: 0, max: MAX_CHECKED_AT }),
    mark: fc.tuple(peer, fc.uint8Array({ minLength: MARK_SIGNATURE_LENGTH, maxLength: MARK_SIGNATURE_LENGTH })),
  }),
  fc.record({ type: fc.constantFrom('missing' as const, 'busy' as const), id }),
);
const chunkRequest: fc.Arbitrary<ChunkRequest> = fc.record(
  { digest, index, lane: id },
  { requiredKeys: ['digest', 'index'] },
);
const chunkAnswer: fc.Arbitrary<ChunkAnswer> = fc.oneof(
  fc.record(
    {
      type: fc.constant('chunk' as const),
      length: size,
      mark: fc.option(fc.tuple(peer, fc.uint8Array({ minLength: 64, maxLength: 64 }))),
      lane: fc.constant(true as const),
    },
    { requiredKeys: ['type', 'length', 'mark'] },
  ),
  fc.record({ type: fc.constantFrom('missing' as const, 'busy' as const) }),
);

const laneAnswer: fc.Arbitrary<LaneAnswer> = fc.oneof(
  fc.record({
    type: fc.constant('lane' as const),
    port: fc.integer({ min: 1, max: 65_535 }),
    ticket: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
  fc.record({ type: fc.constant('none' as const) }),
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
roundTrips('lane requests', laneRequests, fc.constant({ type: 'lane' as const }));
roundTrips('lane answers', laneAnswers, laneAnswer);

test('a message has one encoding: another order of keys, and a whole number as a float, are refused', () => {
  const digest = toDigest('sha256', Buffer.alloc(32));
  const shuffled = { mapSorter: (one: unknown[], two: unknown[]) => Buffer.compare(encode(two[0]), encode(one[0])) };
  for (const [codec, message] of [
    [controlRequests, { type: 'have', id: 9, digest }],
    [controlAnswers, { type: 'holding', id: 9, size: 9, root: new Uint8Array(32) }],
    [chunkRequests, { digest, index: 9 }],
    [chunkAnswers, { type: 'chunk', length: 9, mark: null }],
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
    [chunkAnswers, { type: 'chunk', length: Number.NaN, mark: null }],
    [chunkAnswers, { type: 'chunk', length: -1, mark: null }],
    [chunkAnswers, { type: 'chunk', length: 1 }],
    [chunkAnswers, { type: 'chunk', length: 1, mark: ['peer', new Uint8Array(63)] }],
    [chunkAnswers, { type: 'chunk', length: 1, mark: ['', new Uint8Array(64)] }],
    [chunkAnswers, { type: 'chunk', length: 1, mark: ['p'.repeat(129), new Uint8Array(64)] }],
    [chunkAnswers, { type: 'chunk', length: 1, mark: ['peer', new Uint8Array(64), 1] }],
    [chunkAnswers, ['chunk', 1]],
    [chunkRequests, { digest, index: 1, lane: -1 }],
    [chunkRequests, { digest, index: 1, lane: 2 ** 32 }],
    [chunkRequests, { digest, index: 1, lane: true }],
    [chunkAnswers, { type: 'chunk', length: 1, mark: null, lane: false }],
    [chunkAnswers, { type: 'missing', lane: true }],
    [laneRequests, { type: 'lane', port: 1 }],
    [laneRequests, {}],
    [laneAnswers, { type: 'lane', port: 0, ticket: new Uint8Array(16), key: new Uint8Array(32) }],
    [laneAnswers, { type: 'lane', port: 65_536, ticket: new Uint8Array(16), key: new Uint8Array(32) }],
    [laneAnswers, { type: 'lane', port: 1, ticket: new Uint8Array(15), key: new Uint8Array(32) }],
    [laneAnswers, { type: 'lane', port: 1, ticket: new Uint8Array(16), key: new Uint8Array(33) }],
    [laneAnswers, { type: 'none', port: 1 }],
  ] as [Codec<unknown>, unknown][]) {
    assert.equal(codec.decode(encode(value)), undefined, JSON.stringify(value));
  }
});

test('the largest fleet messages go into a frame', () => {
  const longest = toDigest('sha512', Buffer.alloc(64, 0xff));
  const peers = Array.from({ length: MAX_NAMED }, () => 'p'.repeat(128));
  const bitmap = new Uint8Array(MAX_CHUNKS / 8).fill(0xff);
  for (const message of [
    {
      type: 'taking',
      digest: longest,
      size: MAX_BLOB_SIZE,
      marks: bitmap,
      mapped: [new Uint8Array(32), bitmap],
      leases: [
        [0, MAX_CHUNKS],
        [MAX_CHUNKS - 1, MAX_CHUNKS],
      ],
      received: MAX_BLOB_SIZE,
    },
    { type: 'refuse', digest: longest, fetching: peers, partners: peers },
    { type: 'grant', digest: longest, segment: [0, MAX_CHUNKS], partners: peers },
  ] as ControlRequest[]) {
    const body = controlRequests.encode(message);
    assert.ok(body.length <= 8 * 1024, `${message.type} takes ${body.length} bytes`);
    assert.equal(controlRequests.decode(body)?.type, message.type);
  }
});

test('fleet messages out of bounds are refused', () => {
  const digest = toDigest('sha256', Buffer.alloc(32));
  const MIB = 1024 * 1024;
  const state = {
    type: 'taking',
    digest,
    size: 9 * MIB,
    marks: Uint8Array.of(0xff, 1),
    mapped: [new Uint8Array(32), Uint8Array.of(0, 1)],
    leases: [[8, 9]],
    received: 0,
  };
  const unknown = { ...state, size: null, marks: Uint8Array.of(1), mapped: null, leases: [[0, 1]] };
  const empty = { ...state, size: 0, marks: Uint8Array.of(0), mapped: null, leases: [] };
  for (const value of [state, unknown, empty]) {
    assert.equal(controlRequests.decode(encode(value))?.type, 'taking');
  }
  const named = (length: number) => Array.from({ length }, () => 'peer');
  for (const value of [
    { ...state, marks: Uint8Array.of(0xff) },
    { ...state, marks: Uint8Array.of(0xff, 2) },
    { ...state, marks: Uint8Array.of(0xff, 1, 0) },
    { ...state, mapped: [new Uint8Array(31), Uint8Array.of(0, 1)] },
    { ...state, mapped: [new Uint8Array(32), Uint8Array.of(0)] },
    { ...state, mapped: [new Uint8Array(32), Uint8Array.of(0, 3)] },
    { ...state, leases: [[8, 10]] },
    { ...state, leases: [[8, 8]] },
    { ...state, leases: [[3, 2]] },
    { ...state, leases: [0, 1, 2].map((from) => [from, from + 1]) },
    { ...state, leases: [[-1, 2]] },
    { ...state, received: -1 },
    { ...unknown, marks: Uint8Array.of(2) },
    { ...unknown, leases: [[0, 2]] },
    { ...empty, marks: Uint8Array.of(1) },
    { ...empty, marks: new Uint8Array(0) },
    { ...empty, leases: [[0, 1]] },
    { type: 'left' },
    { type: 'left', digest, id: 1 },
    { type: 'claim', digest, first: 0 },
    { type: 'claim', digest, size: 0 },
    { type: 'claim', digest, size: -1, first: 0 },
    { type: 'claim', digest, size: 0, first: -1 },
    { type: 'grant', digest, segment: [4, 4], partners: [] },
    { type: 'grant', digest, segment: [0, MAX_CHUNKS + 1], partners: [] },
    { type: 'grant', digest, segment: [0, 1], partners: named(MAX_NAMED + 1) },
    { type: 'refuse', digest, fetching: named(MAX_NAMED + 1), partners: [] },
    { type: 'refuse', digest, fetching: [''], partners: [] },
    {
      type: 'accuse',
      digest,
      size: 1,
      index: MAX_CHUNKS,
      sha256: new Uint8Array(32),
      mark: ['peer', new Uint8Array(64)],
    },
    { type: 'accuse', digest, size: 1, index: 0, sha256: new Uint8Array(31), mark: ['peer', new Uint8Array(64)] },
    { type: 'accuse', digest, size: 1, index: 0, sha256: new Uint8Array(32), mark: null },
    {
      type: 'accuse',
      digest,
      size: 1,
      index: 0,
      sha256: new Uint8Array(32),
      mark: ['p'.repeat(129), new Uint8Array(64)],
    },
    { type: 'vouch', digest, size: 1, index: 0, sha256: new Uint8Array(33) },
    { type: 'vouch', digest, size: null, index: 0, sha256: new Uint8Array(32) },
  ]) {
    assert.equal(controlRequests.decode(encode(value)), undefined, JSON.stringify(value));
  }
});

test('tags out of bounds are refused, and the largest are not', () => {
  const digest = toDigest('sha256', Buffer.alloc(32));
  const asked = { type: 'tag', id: 1, registry: 'r', repository: 'n', tag: 't', accept: '*/*' };
  const largest = {
    ...asked,
    registry: 'r'.repeat(MAX_TAG_NAMES.registry),
    repository: 'n'.repeat(MAX_TAG_NAMES.repository),
    tag: 't'.repeat(MAX_TAG_NAMES.tag),
    accept: 'a'.repeat(MAX_ACCEPT),
  };
  for (const value of [asked, largest]) assert.deepEqual(controlRequests.decode(encode(value)), value);
  for (const key of ['registry', 'repository', 'tag', 'accept'] as const) {
    for (const value of [`${largest[key]}x`, '', null, 1]) {
      assert.equal(controlRequests.decode(encode({ ...asked, [key]: value })), undefined, key);
    }
  }
  const mark = ['peer', new Uint8Array(64)];
  const told = { type: 'tag', id: 1, accept: '*/*', digest, mediaType: 'a/b', size: 1, checkedAt: 1, mark };
  const most = { accept: largest.accept, mediaType: 'm'.repeat(MAX_MEDIA_TYPE), checkedAt: MAX_CHECKED_AT };
  for (const value of [told, { ...told, ...most }]) assert.equal(controlAnswers.decode(encode(value))?.type, 'tag');
  for (const wrong of [
    { accept: `${most.accept}x` },
    { digest: `${digest}0` },
    { mediaType: `${most.mediaType}x` },
    { mediaType: '' },
    { size: -1 },
    { checkedAt: -1 },
    { checkedAt: MAX_CHECKED_AT + 1 },
    { checkedAt: 0.5 },
    { checkedAt: 2n ** 60n },
    { mark: null },
    { mark: ['peer', new Uint8Array(63)] },
    { registry: 'r' },
  ]) {
    assert.equal(controlAnswers.decode(encode({ ...told, ...wrong })), undefined, String(Object.keys(wrong)));
  }
});
