import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inBatches } from '../../../agent/upstream/batches.ts';

const KIB = 1024;

/** As much as TLS ever gives at a time. */
const RECORD = 16 * KIB;

/** After so many records nobody waits for the first bytes any more: 256 KiB and one. */
const PROMPT = 17;

/** Longer than a few turns of the event loop take. Milliseconds. */
const LATE = 5;

interface Line {
  readonly pieces: number;
  /** Bytes. */
  readonly piece: number;
  /** What is waited for before each piece. */
  readonly arrival: (index: number) => Promise<unknown>;
}

async function* bodyOf({ pieces, piece, arrival }: Line): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < pieces; index++) {
    await arrival(index);
    yield Buffer.alloc(piece, index);
  }
}

const whole = ({ pieces, piece }: Line): Buffer =>
  Buffer.concat(Array.from({ length: pieces }, (_, index) => Buffer.alloc(piece, index)));

/** @returns after how many pieces each rest came, and all the bytes */
async function read(line: Line, rested: () => void = () => {}): Promise<{ rests: number[]; bytes: Buffer }> {
  const rests: number[] = [];
  const got: Uint8Array[] = [];
  const rest = async () => {
    rests.push(got.length);
    rested();
  };
  for await (const piece of inBatches(bodyOf(line), rest)) got.push(piece);
  return { rests, bytes: Buffer.concat(got) };
}

/** A slow line: what is not prompt comes only when somebody rests. */
function slowLine(pieces: number) {
  let rested = Promise.withResolvers<void>();
  const arrival = async (index: number) => {
    if (index < PROMPT) return sleep(LATE);
    await rested.promise;
    rested = Promise.withResolvers();
  };
  return { line: { pieces, piece: RECORD, arrival }, rested: () => rested.resolve() };
}

test('records of TLS that are there, or a turn of the event loop away: nobody rests', async () => {
  for (const arrival of [async () => {}, () => new Promise(setImmediate)]) {
    const line = { pieces: 64, piece: RECORD, arrival };
    const { rests, bytes } = await read(line);
    assert.deepEqual(rests, []);
    assert.ok(bytes.equals(whole(line)));
  }
});

test('small pieces that are waited for: a rest before each, but for the first 256 KiB', {
  timeout: 10_000,
}, async () => {
  const { line, rested } = slowLine(20);
  const { rests, bytes } = await read(line, rested);
  assert.deepEqual(rests, [17, 18, 19]);
  assert.ok(bytes.equals(whole(line)));
});

test('large pieces that are waited for: the line is faster than we are', async () => {
  const { rests } = await read({ pieces: 10, piece: 64 * KIB, arrival: () => sleep(LATE) });
  assert.deepEqual(rests, []);
});

test('what a rest throws ends the body, which is closed', { timeout: 10_000 }, async () => {
  const { line, rested } = slowLine(20);
  let isClosed = false;
  const body = async function* () {
    try {
      yield* bodyOf(line);
    } finally {
      isClosed = true;
    }
  };
  const rest = async () => {
    rested();
    throw new Error('no more');
  };
  await assert.rejects(async () => {
    for await (const piece of inBatches(body(), rest)) assert.equal(piece.length, RECORD);
  }, /no more/);
  assert.ok(isClosed);
});
