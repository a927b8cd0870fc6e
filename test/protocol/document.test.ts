import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { MAX_AHEAD } from '../../agent/fetch/tags/belief.ts';
import { MAX_ADVERTISED } from '../../agent/swarm/advertise.ts';
import { MAX_STRANGERS } from '../../agent/swarm/bulk/thread/strangers.ts';
import { TICKET_LIFETIME } from '../../agent/swarm/bulk/thread/tickets.ts';
import { cidOf } from '../../agent/swarm/dht.ts';
import { HORIZON_TTL } from '../../agent/swarm/horizon.ts';
import { settingsOf } from '../../agent/swarm/init.ts';
import { mdnsService, NETWORK_KEY_LENGTH, noisePrologue, parseNetworkKey } from '../../agent/swarm/key.ts';
import * as limits from '../../agent/swarm/limits.ts';
import { MISSING_TTL } from '../../agent/swarm/missing.ts';
import { PROVIDER_VALIDITY } from '../../agent/swarm/node.ts';
import { LIE_BAN, SLIP_BAN } from '../../agent/swarm/reputation.ts';
import { createSigning } from '../../agent/swarm/signing.ts';
import { MIN_PROGRESS } from '../../agent/swarm/stream/stall.ts';
import { bitmapOf, MAX_BITMAP_LENGTH, setBit } from '../../protocol/bitmap.ts';
import {
  BODY_HEAD_LENGTH,
  decodeBodyHead,
  encodeBodyHead,
  LANE_KEY_LENGTH,
  TICKET_LENGTH,
} from '../../protocol/bulk.ts';
import {
  CHUNK_HASH_LENGTH,
  chunkMapRoot,
  decodeChunkMap,
  encodeChunkMap,
  MAX_CHUNK_MAP_LENGTH,
} from '../../protocol/chunk-map.ts';
import { layoutOf, MAX_BLOB_SIZE, MAX_CHUNKS, MIN_CHUNK_SIZE } from '../../protocol/chunks.ts';
import { toDigest } from '../../protocol/digest.ts';
import { encodeFrame, frameHead } from '../../protocol/frame.ts';
import { MARK_SIGNATURE_LENGTH, markStatement } from '../../protocol/mark.ts';
import {
  type Codec,
  chunkAnswers,
  chunkRequests,
  controlAnswers,
  controlRequests,
  laneAnswers,
  laneRequests,
  MAX_ANNOUNCED,
  MAX_FRAME_LENGTH,
  MAX_LEASES,
  MAX_NAMED,
} from '../../protocol/messages.ts';
import { BULK_PROTOCOL, CHUNKS_PROTOCOL, CONTROL_PROTOCOL, KAD_PROTOCOL, MDNS_SERVICE } from '../../protocol/names.ts';
import { rank, rendezvousOrder } from '../../protocol/rendezvous.ts';
import { MAX_ACCEPT, MAX_MEDIA_TYPE, MAX_TAG_NAMES, tagStatement } from '../../protocol/tag-record.ts';
import { mapOf } from '../support/holdings.ts';

/* The document is what other implementations are written from: every number and every byte in it is checked here. */

const ROOT = new URL('../../', import.meta.url);
const DOCUMENT = readFileSync(new URL('docs/protocol.md', ROOT), 'utf8');

/** The hex of every example, by name. */
const EXAMPLES = new Map(
  [...DOCUMENT.matchAll(/^```hex (\S+)\n([0-9a-f\n]+)\n```$/gm)].map(([, name = '', hex = '']) => [
    name,
    hex.replaceAll('\n', ''),
  ]),
);

/** The blob that the document describes. */
const BLOB = Buffer.concat([Buffer.alloc(MIN_CHUNK_SIZE), Buffer.from('abc')]);
const DIGEST = toDigest('sha256', createHash('sha256').update(BLOB).digest());
const MAP = mapOf(DIGEST, BLOB);
const MAP_BYTES = encodeChunkMap(MAP);
const MAP_ROOT = chunkMapRoot(MAP);

/** Who signs in the examples, and another. */
const SIGNER_KEY = await generateKeyPairFromSeed('Ed25519', example('mark-seed'));
const SIGNER = peerIdFromPrivateKey(SIGNER_KEY).toString();
const OTHER = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', Buffer.alloc(32, 0xff))).toString();
const MARKED = createHash('sha256').update('abc').digest();
const STATEMENT = markStatement(DIGEST, BLOB.length, 1, MARKED);
const SIGNATURE = createSigning(SIGNER_KEY).sign(STATEMENT);

/** The tag of the examples. */
const INDEX = 'application/vnd.oci.image.index.v1+json';
const TAG = { registry: 'docker.io', repository: 'library/alpine', tag: 'latest' };
const CHECKED = { accept: INDEX, digest: DIGEST, mediaType: INDEX, size: BLOB.length, checkedAt: 1_763_771_234_567 };
const TAG_SIGNATURE = createSigning(SIGNER_KEY).sign(tagStatement(TAG, CHECKED));

function example(name: string): Buffer {
  const found = EXAMPLES.get(name);
  assert.ok(found !== undefined, `the document has an example named ${name}`);
  return Buffer.from(found, 'hex');
}

/** The example is exactly `message` in a frame and what follows it, and reads back as that message. */
function framed<Message>(name: string, codec: Codec<Message>, message: Message, behind = ''): void {
  const bytes = example(name);
  assert.equal(bytes.toString('hex'), hex(encodeFrame(codec.encode(message))) + hex(Buffer.from(behind)));
  const head = frameHead(bytes);
  assert.ok(head.kind === 'frame');
  const end = head.start + head.length;
  const read = codec.decode(bytes.subarray(head.start, end));
  assert.ok(read !== undefined);
  assert.equal(hex(codec.encode(read)), hex(codec.encode(message)));
  assert.equal(bytes.subarray(end).toString(), behind);
}

/** 0, 1, 2 and so on. */
const ascending = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const CHECKS: Record<string, () => void> = {
  'network-key': () => assert.equal(example('network-key').length, NETWORK_KEY_LENGTH),
  'noise-prologue': () => {
    const key = parseNetworkKey(hex(example('network-key')));
    assert.equal(hex(example('noise-prologue')), hex(noisePrologue(key)));
    assert.ok(DOCUMENT.includes(`the mDNS service is \`${mdnsService(key)}\``));
  },
  'blob-cid': () => {
    assert.equal(hex(example('blob-cid')), hex(cidOf(DIGEST).bytes));
    assert.ok(DOCUMENT.includes(`in text \`${cidOf(DIGEST)}\``));
  },
  'chunk-map': () => {
    assert.equal(hex(example('chunk-map')), hex(MAP_BYTES));
    assert.equal(decodeChunkMap(example('chunk-map'))?.digest, DIGEST);
    assert.ok(DOCUMENT.includes(`\`${DIGEST}\``));
  },
  'chunk-map-root': () => assert.equal(hex(example('chunk-map-root')), MAP_ROOT),
  'have-request': () => framed('have-request', controlRequests, { type: 'have', id: 7, digest: DIGEST }),
  'holding-answer': () => {
    const root = Buffer.from(MAP_ROOT, 'hex');
    framed('holding-answer', controlAnswers, { type: 'holding', id: 7, size: BLOB.length, root });
  },
  'map-request': () => framed('map-request', controlRequests, { type: 'map', id: 8, digest: DIGEST }),
  'map-answer': () => framed('map-answer', controlAnswers, { type: 'map', id: 8, map: MAP_BYTES }),
  'missing-answer': () => framed('missing-answer', controlAnswers, { type: 'missing', id: 9 }),
  'hold-announcement': () => {
    const root = Buffer.from(MAP_ROOT, 'hex');
    framed('hold-announcement', controlRequests, { type: 'hold', blobs: [[DIGEST, BLOB.length, root]] });
  },
  'drop-announcement': () => framed('drop-announcement', controlRequests, { type: 'drop', digests: [DIGEST] }),
  'complete-announcement': () =>
    framed('complete-announcement', controlRequests, { type: 'complete', truncated: false }),
  'chunk-request': () => framed('chunk-request', chunkRequests, { digest: DIGEST, index: 1 }),
  'chunk-answer': () => framed('chunk-answer', chunkAnswers, { type: 'chunk', length: 3, mark: null }, 'abc'),
  'mark-seed': () => assert.ok(DOCUMENT.includes(`the peer id is \`${SIGNER}\``)),
  'mark-statement': () => assert.equal(hex(example('mark-statement')), hex(STATEMENT)),
  'mark-signature': () => {
    assert.equal(hex(example('mark-signature')), hex(SIGNATURE));
    assert.equal(createSigning(SIGNER_KEY).verify(SIGNER, STATEMENT, example('mark-signature')), true);
  },
  'tag-statement': () => assert.equal(hex(example('tag-statement')), hex(tagStatement(TAG, CHECKED))),
  'tag-signature': () => assert.equal(hex(example('tag-signature')), hex(TAG_SIGNATURE)),
  'tag-request': () => framed('tag-request', controlRequests, { type: 'tag', id: 10, ...TAG, accept: INDEX }),
  'tag-answer': () =>
    framed('tag-answer', controlAnswers, { type: 'tag', id: 10, ...CHECKED, mark: [SIGNER, TAG_SIGNATURE] }),
  rank: () => {
    assert.equal(hex(example('rank')), hex(rank(DIGEST, SIGNER)));
    assert.deepEqual(rendezvousOrder(DIGEST, [OTHER, SIGNER]), [SIGNER, OTHER]);
  },
  'rank-other': () => {
    assert.equal(hex(example('rank-other')), hex(rank(DIGEST, OTHER)));
    assert.ok(DOCUMENT.includes(`comes before \`${OTHER}\``));
  },
  'taking-message': () =>
    framed('taking-message', controlRequests, {
      type: 'taking',
      digest: DIGEST,
      size: BLOB.length,
      marks: Uint8Array.of(1),
      mapped: [Buffer.from(MAP_ROOT, 'hex'), Uint8Array.of(0)],
      leases: [[1, 2]],
      received: MIN_CHUNK_SIZE,
    }),
  'left-message': () => framed('left-message', controlRequests, { type: 'left', digest: DIGEST }),
  'claim-message': () =>
    framed('claim-message', controlRequests, { type: 'claim', digest: DIGEST, size: BLOB.length, first: 0 }),
  'claim-unsized-message': () =>
    framed('claim-unsized-message', controlRequests, { type: 'claim', digest: DIGEST, size: null, first: 0 }),
  'grant-message': () =>
    framed('grant-message', controlRequests, { type: 'grant', digest: DIGEST, segment: [0, 2], partners: [] }),
  'refuse-message': () =>
    framed('refuse-message', controlRequests, { type: 'refuse', digest: DIGEST, fetching: [SIGNER], partners: [] }),
  'accuse-message': () =>
    framed('accuse-message', controlRequests, {
      type: 'accuse',
      digest: DIGEST,
      size: BLOB.length,
      index: 1,
      sha256: MARKED,
      mark: [SIGNER, SIGNATURE],
    }),
  'vouch-message': () =>
    framed('vouch-message', controlRequests, {
      type: 'vouch',
      digest: DIGEST,
      size: BLOB.length,
      index: 1,
      sha256: MARKED,
    }),
  'chunk-marked-answer': () =>
    framed('chunk-marked-answer', chunkAnswers, { type: 'chunk', length: 3, mark: [SIGNER, SIGNATURE] }, 'abc'),
  'lane-request': () => framed('lane-request', laneRequests, { type: 'lane' }),
  'lane-answer': () =>
    framed('lane-answer', laneAnswers, {
      type: 'lane',
      port: 4056,
      ticket: ascending(TICKET_LENGTH),
      key: ascending(LANE_KEY_LENGTH),
    }),
  'lane-none-answer': () => framed('lane-none-answer', laneAnswers, { type: 'none' }),
  'chunk-lane-request': () => framed('chunk-lane-request', chunkRequests, { digest: DIGEST, index: 1, lane: 7 }),
  'chunk-lane-answer': () =>
    framed('chunk-lane-answer', chunkAnswers, { type: 'chunk', length: 3, mark: null, lane: true }),
  'lane-body': () => {
    const bytes = example('lane-body');
    assert.deepEqual(decodeBodyHead(bytes), { tag: 7, length: 3 });
    const head = new Uint8Array(BODY_HEAD_LENGTH);
    encodeBodyHead({ tag: 7, length: 3 }, head);
    assert.equal(hex(bytes), `${hex(head)}${hex(Buffer.from('abc'))}`);
  },
  'chunk-missing-answer': () => framed('chunk-missing-answer', chunkAnswers, { type: 'missing' }),
  'chunk-busy-answer': () => framed('chunk-busy-answer', chunkAnswers, { type: 'busy' }),
};

for (const [name, check] of Object.entries(CHECKS)) test(`the example ${name} is true`, check);

test('no example in the document goes unchecked', () => {
  assert.deepEqual([...EXAMPLES.keys()].sort(), Object.keys(CHECKS).sort());
  assert.equal(DOCUMENT.match(/^```\S/gm)?.length, EXAMPLES.size);
});

test('the names in the document are those in the code', () => {
  const names = Object.fromEntries(rows('Names').map(([name, value]) => [name, value?.replaceAll('`', '')]));
  assert.deepEqual(names, {
    'control protocol': CONTROL_PROTOCOL,
    'chunks protocol': CHUNKS_PROTOCOL,
    'bulk protocol': BULK_PROTOCOL,
    'DHT protocol': KAD_PROTOCOL,
    'mDNS service': MDNS_SERVICE,
    'chunk map format': text('protocol/chunk-map.ts', 'FORMAT'),
    'mark format': text('protocol/mark.ts', 'FORMAT'),
    'tag format': text('protocol/tag-record.ts', 'FORMAT'),
    'label of the prologue': text('agent/swarm/key.ts', 'PROLOGUE_LABEL'),
    'label of the service': text('agent/swarm/key.ts', 'MDNS_LABEL'),
  });
});

test('the numbers in the document are those in the code', () => {
  const numbers = Object.fromEntries(rows('Numbers').map(([name, value]) => [name, Number(value)]));
  const defaults = settingsOf({ identityPath: '', listen: [] });
  const window = product('agent/swarm/node.ts', 'STREAM_WINDOW');
  assert.deepEqual(numbers, {
    'smallest chunk': MIN_CHUNK_SIZE,
    'chunks of a blob': MAX_CHUNKS,
    'largest blob': MAX_BLOB_SIZE,
    'chunk hash': CHUNK_HASH_LENGTH,
    'encoded chunk map': MAX_CHUNK_MAP_LENGTH,
    bitmap: MAX_BITMAP_LENGTH,
    'signature of a mark': MARK_SIGNATURE_LENGTH,
    'registry, characters': MAX_TAG_NAMES.registry,
    'repository, characters': MAX_TAG_NAMES.repository,
    'tag, characters': MAX_TAG_NAMES.tag,
    'accepted media types, characters': MAX_ACCEPT,
    'media type, characters': MAX_MEDIA_TYPE,
    'date ahead, ms': MAX_AHEAD,
    'questions for tags read at once': limits.TAG_QUESTION_BURST,
    'questions for tags read, a second': limits.TAG_QUESTION_RATE,
    'peers asked for a tag': product('agent/fetch/tags/whom.ts', 'MOST_ASKED'),
    'answer to tag, ms': product('agent/fetch/tags/peers-word.ts', 'PATIENCE'),
    'frame body': MAX_FRAME_LENGTH,
    'network key, least bytes': NETWORK_KEY_LENGTH,
    'outstanding questions': limits.OUTSTANDING_QUESTIONS,
    'blobs of an announcement': MAX_ANNOUNCED,
    'blobs of an announcement, as sent': limits.BLOBS_PER_ANNOUNCEMENT,
    'blobs an agent tells of': limits.ROSTER_LENGTH,
    'blobs kept of one peer': limits.INVENTORY_LENGTH,
    'least time between changes, ms': limits.ANNOUNCE_WITHIN,
    'leases of one agent': MAX_LEASES,
    'peers named in a list': MAX_NAMED,
    'least time between states, ms': product('agent/fetch/rules/announcer.ts', 'ANNOUNCE_WITHIN'),
    'heartbeat of a state, ms': product('agent/fetch/rules/announcer.ts', 'HEARTBEAT'),
    'silence that ends a state, ms': product('agent/fetch/rules/table.ts', 'SILENCE'),
    'live leases of a blob': product('agent/fetch/rules/lease-count.ts', 'LIVE_LEASES'),
    'live leases of a blob, at most': product('agent/fetch/rules/lease-count.ts', 'MOST_LEASES'),
    'chunks of a first lease': product('agent/fetch/rules/coordinator.ts', 'FIRST_SEGMENT'),
    'chunks of a lease': product('agent/fetch/rules/taking.ts', 'SEGMENT'),
    'life of a grant, ms': product('agent/fetch/rules/coordinator.ts', 'GRANT_LIFE'),
    'fleet messages read at once': limits.FLEET_BURST,
    'fleet messages read, a second': limits.FLEET_RATE,
    'fleet messages waiting for a peer': limits.WAITING_FLEET_MESSAGES,
    'memory of a DHT without others, ms': HORIZON_TTL,
    'inbound control streams, a connection': limits.INBOUND_CONTROL_STREAMS,
    'inbound chunk streams, a connection': limits.INBOUND_CHUNK_STREAMS,
    'outbound chunk streams to a peer': limits.CHUNK_STREAMS_PER_PEER,
    'requests outstanding on a chunk stream': limits.REQUESTS_PER_CHUNK_STREAM,
    'chunk requests read ahead': limits.READ_AHEAD,
    'chunk requests taken from one address': limits.QUEUED_CHUNKS_PER_ADDRESS,
    'chunk requests taken in all': limits.QUEUED_CHUNKS,
    'turn of a peer with a chunk, ms': limits.CHUNK_TURN,
    'ticket of a lane': TICKET_LENGTH,
    'key of a lane': LANE_KEY_LENGTH,
    'head of a body on a lane': BODY_HEAD_LENGTH,
    'life of a ticket, ms': TICKET_LIFETIME,
    'handshake of a lane, ms': product('agent/swarm/bulk/thread/listener.ts', 'HANDSHAKE_TIMEOUT'),
    'unfinished handshakes of one address': MAX_STRANGERS,
    'inbound bulk streams, a connection': limits.INBOUND_BULK_STREAMS,
    'idle time that ends a lane, ms': product('agent/swarm/bulk/asker.ts', 'IDLE_TIME'),
    'pause after a lane failed, ms': product('agent/swarm/bulk/retry-pause.ts', 'FIRST_PAUSE'),
    'longest pause after that, ms': product('agent/swarm/bulk/retry-pause.ts', 'LONGEST_PAUSE'),
    'stream window, at its largest': window,
    'unread bytes of a stream': window * product('agent/swarm/node.ts', 'MAX_UNREAD', 'STREAM_WINDOW'),
    'stall time-out, ms': defaults.stallTimeout,
    'answer to have, ms': defaults.answerTimeout,
    'bytes within a stall time-out': MIN_PROGRESS,
    'patience of answerers, stall time-outs': product('agent/swarm/server.ts', 'SENDER_PATIENCE'),
    'chunk deadline, ms': product('agent/fetch/peer-lane.ts', 'CHUNK_DEADLINE'),
    'pause after busy, ms': product('agent/fetch/rules/busy.ts', 'BUSY_PAUSE'),
    'longest pause after busy, ms': product('agent/fetch/rules/busy.ts', 'LONGEST_PAUSE'),
    'validity of a DHT record, ms': PROVIDER_VALIDITY,
    'blobs advertised': MAX_ADVERTISED,
    'ban of a liar, ms': LIE_BAN,
    'ban for slips, ms': SLIP_BAN,
    'memory of what is missing, ms': MISSING_TTL,
  });
});

test('the bytes that announcements take are as the document has them', () => {
  const entry: [typeof DIGEST, number, Uint8Array] = [DIGEST, 1 << 24, Buffer.from(MAP_ROOT, 'hex')];
  let all = 0;
  for (let told = 0; told < 10_000; told += limits.BLOBS_PER_ANNOUNCEMENT) {
    const length = Math.min(limits.BLOBS_PER_ANNOUNCEMENT, 10_000 - told);
    all += encodeFrame(controlRequests.encode({ type: 'hold', blobs: Array.from({ length }, () => entry) })).length;
  }
  assert.ok(DOCUMENT.includes(`are ${all.toLocaleString('en')}\nbytes`));
  const perBlob = controlRequests.encode({ type: 'hold', blobs: [entry, entry] }).length;
  const single = controlRequests.encode({ type: 'hold', blobs: [entry] }).length;
  assert.ok(DOCUMENT.includes(`A blob takes ${perBlob - single} bytes`));
});

test('what the document calls refused is refused, and what it calls read is read', () => {
  const table = rows('Frames').map(([what = '', body = '', result]) => ({
    what,
    body: body.replaceAll('`', ''),
    result,
  }));
  assert.ok(table.length >= 8);
  for (const { what, body, result } of table) {
    const message = controlAnswers.decode(Buffer.from(body.replaceAll(' ', ''), 'hex'));
    assert.equal(message === undefined ? 'refused' : 'read', result, what);
    if (message !== undefined) assert.deepEqual(message, { type: 'missing', id: 9 });
  }
});

test('the bitmap in the document is the one the code makes', () => {
  const bitmap = bitmapOf(17);
  for (const index of [0, 9, 16]) setBit(bitmap, index);
  assert.ok(DOCUMENT.includes(`Chunks 0, 9 and 16 of 17 are \`${hex(bitmap).replace(/..(?!$)/g, '$& ')}\``));
});

test('the table of layouts is what the code computes', () => {
  const table = rows('Chunks').map((cells) => cells.map((cell) => Number(cell.split(' ')[0])));
  assert.ok(table.length >= 6);
  for (const [size = -1, chunkSize, count] of table) assert.deepEqual(layoutOf(size), { size, chunkSize, count });
});

/** The cells of the table under a heading, without its own. */
function rows(heading: string): string[][] {
  const section = DOCUMENT.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** A constant that its file keeps to itself: a product of numbers, and of `names`, which count as 1. */
function product(file: string, constant: string, ...names: string[]): number {
  const factors = source(file, constant)
    .split('*')
    .map((factor) => factor.trim());
  const result = factors.reduce((all, one) => all * (names.includes(one) ? 1 : Number(one.replaceAll('_', ''))), 1);
  assert.ok(Number.isFinite(result), `${constant} in ${file} is a product of numbers`);
  return result;
}

function text(file: string, constant: string): string {
  return source(file, constant).replaceAll("'", '');
}

function source(file: string, constant: string): string {
  const [, value] =
    new RegExp(`^(?:export )?const ${constant} = (.+);$`, 'm').exec(readFileSync(new URL(file, ROOT), 'utf8')) ?? [];
  assert.ok(value !== undefined, `${file} has a constant ${constant}`);
  return value;
}
