import assert from 'node:assert/strict';
import { createHash, hash } from 'node:crypto';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { type AgentError, isAgentError } from '../../../agent/errors.ts';
import { Marks } from '../../../agent/fetch/marks.ts';
import { lanesFor, takeFromPeer, type Verification } from '../../../agent/fetch/peer-lane.ts';
import { chunkLength, chunkStart } from '../../../protocol/chunks.ts';
import { toDigest } from '../../../protocol/digest.ts';
import type { Mark } from '../../../protocol/mark.ts';
import { bytesOf, generatedContent } from '../../support/content.ts';
import { mapOf } from '../../support/holdings.ts';

const CHUNKS = 3;
/** The longest a chunk may take. ms */
const DEADLINE = 60_000;
const never = new AbortController().signal;

const bytes = bytesOf(generatedContent('lane', CHUNKS * 1024 * 1024 - 7));
const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
const map = mapOf(digest, bytes);
const { layout } = map;

function chunkOf(index: number): Uint8Array {
  const start = chunkStart(layout, index);
  return Uint8Array.from(bytes.subarray(start, start + chunkLength(layout, index)));
}

/** A signature that only its signer makes: the statement's hash behind the signer's name. */
const signed = (signer: string, statement: Uint8Array) =>
  Buffer.concat([Buffer.from(signer), hash('sha256', statement, 'buffer')]);
const swarm = (peerId: string) => ({
  peerId,
  sign: (statement: Uint8Array) => signed(peerId, statement),
  verify: (signer: string, statement: Uint8Array, signature: Uint8Array) =>
    Buffer.compare(signed(signer, statement), signature) === 0,
});

function markOf(signer: string, index: number, of = chunkOf(index)): Mark {
  const marks = new Marks(swarm(signer), digest, layout.size);
  marks.vouch(index, hash('sha256', of, 'buffer'));
  return marks.get(index) as Mark;
}

function verification(over: Partial<Verification> = {}): Verification {
  const marks = new Marks(swarm('taker'), digest, layout.size);
  return { layout, marks, map: () => map, isClaimed: () => true, isBanned: () => false, ...over };
}

const take = (over: Partial<Verification>, index: number, given: Uint8Array, mark?: Mark) =>
  takeFromPeer(
    verification(over),
    index,
    async () => ({ bytes: given, mark }),
    () => 0,
    never,
  );

const failsWith = (code: AgentError['code']) => (error: unknown) => isAgentError(error, code);

test('a chunk is good by the map, or by its mark where there is no map', async () => {
  const mapped = await take({}, 1, chunkOf(1));
  assert.ok(mapped !== undefined && mapped.mark === undefined);
  const marked = await take({ map: () => undefined }, 2, chunkOf(2), markOf('giver', 2));
  assert.equal(marked?.mark?.signer, 'giver');
  assert.deepEqual(marked?.sha256, hash('sha256', chunkOf(2), 'buffer'));
});

test('what does not match its map, or its mark, is its sender’s lie', async () => {
  const flipped = chunkOf(0);
  flipped[9] = (flipped[9] as number) ^ 1;
  await assert.rejects(take({}, 0, flipped), failsWith('DIGEST_MISMATCH'));
  const noMap = { map: () => undefined };
  await assert.rejects(take(noMap, 0, flipped, markOf('giver', 0)), failsWith('DIGEST_MISMATCH'));
  // Of another chunk, and of another signer.
  await assert.rejects(take(noMap, 0, chunkOf(0), markOf('giver', 1)), failsWith('DIGEST_MISMATCH'));
  const { signature } = markOf('giver', 0);
  await assert.rejects(take(noMap, 0, chunkOf(0), { signer: 'other', signature }), failsWith('DIGEST_MISMATCH'));
});

test('what nobody vouches for is not taken, and who passes on a liar’s word in good faith is not blamed', async () => {
  assert.equal(await take({ map: () => undefined }, 0, chunkOf(0)), undefined);
  const banned = { map: () => undefined, isBanned: (signer: string) => signer === 'liar' };
  assert.equal(await take(banned, 0, chunkOf(0), markOf('liar', 0)), undefined);
  const false1 = Uint8Array.from(chunkOf(1), (byte) => byte ^ 1);
  assert.equal(await take({}, 1, false1, markOf('liar', 1, false1)), undefined);
});

test('a map that proved false while the chunk was on its way vouches for nothing', async () => {
  let inUse: typeof map | undefined = map;
  const taken = takeFromPeer(
    verification({ map: () => inUse }),
    0,
    async () => {
      inUse = undefined;
      return { bytes: chunkOf(0), mark: undefined };
    },
    () => 0,
    never,
  );
  assert.equal(await taken, undefined);
});

test('lanes: many for one blob, fewer for each of many, never less than one', () => {
  assert.deepEqual([1, 2, 4, 8, 100].map(lanesFor), [12, 6, 3, 1, 1]);
});

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A chunk that comes only when its signal fires. */
const stuck = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

test('a chunk has its time, and as much more as a limit of our own held it back', async () => {
  let held = 100_000;
  let failure: unknown;
  takeFromPeer(verification(), 0, stuck, () => held, never).catch((error: unknown) => {
    failure = error;
  });
  await settle();
  held += 15_000;
  mock.timers.tick(DEADLINE);
  await settle();
  assert.equal(failure, undefined);
  mock.timers.tick(14_999);
  await settle();
  assert.equal(failure, undefined);
  mock.timers.tick(1);
  await settle();
  assert.ok(isAgentError(failure, 'PEER_STALLED'));
});

test('who merely passes on a chunk that does not match the map is not called a liar', async () => {
  assert.equal(await take({ isClaimed: () => false }, 1, chunkOf(0).subarray(0, chunkOf(1).length)), undefined);
});
