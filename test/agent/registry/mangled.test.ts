import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { parseAddress } from '../../../agent/address.ts';
import { type Answer, parseAnswers } from '../../support/http-answers.ts';
import { type MangledRequest, mangledRequest } from '../../support/mangled/request.ts';
import { BLOB, BLOB_DIGEST } from '../../support/mirror-process/content.ts';
import { startMirrorProcess } from '../../support/mirror-process/start.ts';

/**
 * A mirror under mangled requests, one seed a connection. A seed that fails is run alone by
 * `SEED=17 node --test test/agent/registry/mangled.test.ts`.
 */
const REQUESTS = 100_000;
const AT_ONCE = 64;

/** Well below the time that a request has for its headers: an answer never waits for that. Milliseconds. */
const PATIENCE = 12_000;

/** Bytes the mirror may hold more at the end than at a tenth of the way. */
const MAY_GROW = 10 * 1024 * 1024;

/** All that the mirror may say to whatever comes: no 5xx, and no 408, since every request here has its end. */
const STATUSES = [200, 206, 304, 400, 403, 404, 405, 416, 431];

/** The codes of the OCI distribution spec ("Error Codes") that a mirror has for what comes to it. */
const CODES = [
  'BLOB_UNKNOWN',
  'DENIED',
  'DIGEST_INVALID',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
].concat(['NAME_UNKNOWN', 'UNSUPPORTED']);

/** Seeds that failed once: whether they do depends on how the pieces fall, hence several times each. */
const KEPT = [403_234_738];
const KEPT_TIMES = 24;

test('requests that went wrong once', async (t) => {
  const mirror = await startMirrorProcess(t);
  for (const seed of KEPT) {
    const address = mirror.addresses[seed % mirror.addresses.length] as string;
    await Promise.all(Array.from({ length: KEPT_TIMES }, () => check(seed, address)));
  }
});

test(`${REQUESTS} mangled requests`, { timeout: 600_000 }, async (t) => {
  const mirror = await startMirrorProcess(t);
  const alone = process.env.SEED;
  const first = alone === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(alone);
  const count = alone === undefined ? REQUESTS : 1;
  t.diagnostic(`seeds ${first} to ${first + count - 1}`);
  const statuses = new Map<number, number>();
  const run = async (from: number, to: number): Promise<void> => {
    let next = from;
    const worker = async (): Promise<void> => {
      while (next < to) {
        const seed = next++;
        const answers = await check(seed, mirror.addresses[seed % mirror.addresses.length]!);
        for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };

  const tenth = first + Math.ceil(count / 10);
  await run(first, tenth);
  const before = await mirror.stateAtRest();
  await run(tenth, first + count);
  const after = await mirror.stateAtRest();
  t.diagnostic(`answers ${JSON.stringify(Object.fromEntries([...statuses].sort()))}`);
  t.diagnostic(`heap ${(before.bytes / 2 ** 20).toFixed(1)} MiB, then ${(after.bytes / 2 ** 20).toFixed(1)} MiB`);
  assert.deepEqual(after.log, [], 'nothing was the agent’s own fault');
  assert.equal(after.open, 0, 'no blob is left open');
  assert.ok(after.bytes - before.bytes <= MAY_GROW, `from ${before.bytes} to ${after.bytes} bytes`);
  const response = await fetch(`http://${mirror.addresses[0]}/v2/alpine/blobs/${BLOB_DIGEST}`);
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(BLOB));
  if (alone !== undefined) return;
  for (const status of STATUSES) assert.ok(statuses.has(status), `nothing made it say ${status}`);
});

/** Sends the request of `seed` and judges the answers. */
async function check(seed: number, address: string): Promise<Answer[]> {
  const request = mangledRequest(seed);
  const text = Buffer.concat(request.packets).toString('latin1');
  const where = `SEED=${seed}, ${JSON.stringify(text.slice(0, 2_000))}`;
  const { bytes, isWhole } = await exchange(request, address).catch((error) => assert.fail(`${error}; ${where}`));
  if (request.then === 'reset') return [];
  let answers: Answer[];
  try {
    // Who has finished may be gone: a body may then end short.
    answers = parseAnswers(bytes, () => (text.includes('HEAD') ? undefined : false), request.then === 'finish');
  } catch (error) {
    assert.fail(`${error}; ${where}`);
  }
  assert.ok(isWhole, `the connection was reset; ${where}`);
  assert.ok(answers.length > 0 || request.then === 'finish', `no answer; ${where}`);
  for (const { status, headers, body } of answers) {
    assert.ok(STATUSES.includes(status), `${status}; ${where}`);
    if (status < 400) continue;
    if (body.length === 0) {
      assert.ok(text.includes('HEAD') || request.then === 'finish', `a ${status} that says nothing; ${where}`);
      continue;
    }
    assert.equal(headers.get('content-type'), 'application/json', where);
    const { errors } = JSON.parse(body.toString());
    assert.equal(errors.length, 1, where);
    assert.ok(CODES.includes(errors[0].code), `${errors[0].code}; ${where}`);
    assert.ok(typeof errors[0].message === 'string' && errors[0].message !== '', where);
  }
  return answers;
}

/** What came on a connection until its end. @throws where it does not end */
async function exchange({ packets, then }: MangledRequest, address: string) {
  const socket = connect(parseAddress(address)!);
  socket.setNoDelay();
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  let isWhole = false;
  socket.on('end', () => {
    isWhole = true;
  });
  const ended = Promise.withResolvers<void>();
  socket.on('error', () => {});
  socket.on('close', () => ended.resolve());
  const timer = setTimeout(() => ended.reject(new Error(`nothing ends it; so far ${Buffer.concat(pieces)}`)), PATIENCE);
  try {
    for (const packet of packets) {
      if (socket.destroyed) break;
      socket.write(packet);
      if (packets.length > 1) await new Promise((resolve) => setImmediate(resolve));
    }
    if (then === 'finish') socket.end();
    if (then === 'reset') socket.resetAndDestroy();
    await ended.promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return { bytes: Buffer.concat(pieces), isWhole };
}
