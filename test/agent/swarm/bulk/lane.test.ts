import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { createThrottle, UNLIMITED } from '../../../../agent/limits/throttle.ts';
import { OutgoingLane } from '../../../../agent/swarm/bulk/holder.ts';
import { type Body, Lane } from '../../../../agent/swarm/bulk/lane.ts';
import { sharedBuffer, sharedBytes } from '../../../../agent/swarm/bulk/shared.ts';
import { BulkThread, type Follower } from '../../../../agent/swarm/bulk/thread.ts';
import { BODY_HEAD_LENGTH, encodeBodyHead } from '../../../../protocol/bulk.ts';
import { until } from '../fixture.ts';

const KEY = randomBytes(32);
const STALL = 400;
const MIB = 1024 * 1024;

/** A holder whose lane does as `onLane` says, a moment after it has opened: by then it was asked. @returns its port */
async function holder(t: TestContext, onLane: (socket: TLSSocket) => void, options: TlsOptions = {}): Promise<number> {
  const server = createServer(
    { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', pskCallback: () => KEY, ...options },
    (socket) => {
      socket.on('error', () => {});
      setTimeout(onLane, 100, socket);
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  return (server.address() as AddressInfo).port;
}

interface Opened {
  readonly lane: Lane;
  readonly closed: { reason: string; isGarbage: boolean }[];
}

async function open(
  t: TestContext,
  port: number,
  { download = UNLIMITED, isLate = false, openTimeout = 20_000, stallTimeout = 10_000 } = {},
): Promise<Opened> {
  const thread = new BulkThread(
    pino({ enabled: false }),
    () => {},
    () => {},
  );
  t.after(() => thread.close());
  const closed: Opened['closed'] = [];
  const lane = new Lane(
    {
      thread,
      download,
      onOpen: () => {},
      onTaken: () => {},
      onMoved: () => {},
      onClosed: (reason, isGarbage) => closed.push({ reason, isGarbage }),
    },
    {
      host: '127.0.0.1',
      port,
      localAddress: undefined,
      ticket: 'ab'.repeat(16),
      key: KEY,
      openTimeout,
      stallTimeout,
    },
  );
  await until(() => lane.isOpen || (isLate && closed.length > 0));
  return { lane, closed };
}

function body(tag: number, bytes: Uint8Array, length = bytes.length): Buffer {
  const head = new Uint8Array(BODY_HEAD_LENGTH);
  encodeBodyHead({ tag, length }, head);
  return Buffer.concat([head, bytes]);
}

/** Asks for a body that the holder says is coming. */
function coming(lane: Lane, into: Parameters<Lane['take']>[0]): Body {
  const body = lane.take(into);
  body.begin();
  return body;
}

/** Room for a body of so many bytes. */
function room(length: number) {
  const bytes = sharedBuffer(length);
  return { bytes, shared: sharedBytes(bytes) as NonNullable<ReturnType<typeof sharedBytes>> };
}

test('bodies come in any order, in pieces of any size, each with its hash', async (t) => {
  const bodies = [1, 70_000, MIB, 17].map((length) => randomBytes(length));
  const port = await holder(t, (socket) => {
    const stream = Buffer.concat([2, 1, 4, 3].map((tag) => body(tag, bodies[tag - 1] as Buffer)));
    for (let at = 0; at < stream.length; at += 33_333) socket.write(stream.subarray(at, at + 33_333));
  });
  const { lane } = await open(t, port);
  const taken = bodies
    .map((bytes) => ({ ...room(bytes.length), bytes }))
    .map(({ shared }) => ({ shared, body: lane.take(shared) }));
  for (const [index, { shared, body: coming }] of taken.entries()) {
    const sha256 = await coming.whole;
    const bytes = Buffer.from(shared.memory, shared.offset, shared.length);
    assert.ok(bytes.equals(bodies[index] as Buffer));
    assert.deepEqual(Buffer.from(sha256), hash('sha256', bytes, 'buffer'));
  }
  assert.ok(lane.isIdle);
});

for (const [what, bytes, why] of [
  ['that nobody asked for', body(99, Buffer.from('x')), /nobody asked for/],
  ['of another length', body(1, Buffer.from('x')), /another length/],
] as const) {
  test(`a body ${what} ends the lane, and the peer has broken the protocol`, async (t) => {
    const port = await holder(t, (socket) => socket.write(bytes));
    const { lane, closed } = await open(t, port, { isLate: true });
    const coming = lane.take(room(100).shared);
    await assert.rejects(coming.whole, { code: 'PEER_UNREACHABLE' });
    assert.equal(closed.length, 1);
    assert.ok(closed[0]?.isGarbage);
    assert.match(closed[0]?.reason ?? '', why);
  });
}

test('half a chunk and silence: stalled, within three stall time-outs', async (t) => {
  const port = await holder(t, (socket) => socket.write(body(1, randomBytes(MIB / 2), MIB)));
  const { lane, closed } = await open(t, port, { stallTimeout: STALL });
  const since = performance.now();
  await assert.rejects(coming(lane, room(MIB).shared).whole, { code: 'PEER_STALLED' });
  assert.ok(performance.now() - since < 3 * STALL + 1_000);
  assert.equal(closed.length, 1);
});

test('bytes that drip are a stall too; a slow lane that moves is none', async (t) => {
  const port = await holder(t, (socket) => {
    socket.write(body(1, Buffer.alloc(0), MIB));
    const drip = setInterval(() => socket.write('x'), 50);
    socket.once('close', () => clearInterval(drip));
  });
  const { lane } = await open(t, port, { stallTimeout: STALL });
  await assert.rejects(coming(lane, room(MIB).shared).whole, { code: 'PEER_STALLED' });

  const bytes = randomBytes(MIB);
  const slow = await holder(t, (socket) => {
    socket.write(body(1, Buffer.alloc(0), MIB));
    let at = 0;
    const trickle = setInterval(() => {
      socket.write(bytes.subarray(at, at + 32 * 1024));
      at += 32 * 1024;
      if (at >= MIB) clearInterval(trickle);
    }, 50);
  });
  const moving = await open(t, slow);
  const taken = room(MIB);
  await coming(moving.lane, taken.shared).whole;
  assert.ok(bytes.equals(taken.bytes));
});

test('a holder that ends in mid-body; one that cannot be reached; one that never shakes hands', async (t) => {
  const ending = await open(t, await holder(t, (socket) => socket.end(body(1, randomBytes(1000), MIB))), {
    isLate: true,
  });
  await assert.rejects(ending.lane.take(room(MIB).shared).whole, { code: 'PEER_UNREACHABLE' });
  const nobody = await open(t, 1, { isLate: true });
  assert.match(nobody.closed[0]?.reason ?? '', /ECONNREFUSED/);
  const { createServer: createPlain } = await import('node:net');
  const silent = createPlain((socket) => socket.on('error', () => {}));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const mute = await open(t, (silent.address() as AddressInfo).port, { isLate: true, openTimeout: 500 });
  assert.match(mute.closed[0]?.reason ?? '', /did not open/);
});

test('a holder with another key, and one that speaks TLS 1.2, are no holders', async (t) => {
  const other = await open(t, await holder(t, () => {}, { pskCallback: () => randomBytes(32) }), { isLate: true });
  assert.equal(other.lane.isOpen, false);
  const old: TlsOptions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'PSK-AES128-GCM-SHA256' };
  const older = await open(t, await holder(t, () => {}, old), { isLate: true });
  assert.equal(older.lane.isOpen, false);
});

test('who is no longer waited for comes all the same, and who comes after it is right', async (t) => {
  const [first, second] = [randomBytes(MIB), randomBytes(MIB)];
  let lane: TLSSocket | undefined;
  const port = await holder(t, (socket) => {
    lane = socket;
  });
  const opened = await open(t, port);
  await until(() => lane !== undefined);
  const [gone, wanted] = [room(MIB), room(MIB)];
  const abandoned = opened.lane.take(gone.shared);
  abandoned.abandon();
  const coming = opened.lane.take(wanted.shared);
  lane?.write(Buffer.concat([body(1, first), body(2, second)]));
  await coming.whole;
  assert.ok(second.equals(wanted.bytes));
  assert.ok(
    gone.bytes.every((byte) => byte === 0),
    'not a byte went where nobody waits',
  );
  const cancelled = opened.lane.take(room(100).shared);
  await cancelled.cancel();
  assert.ok(opened.lane.isIdle);
});

test('a body that is given up is over once it has come, and not before: it takes a place of the lane until then', async (t) => {
  let lane: TLSSocket | undefined;
  const port = await holder(t, (socket) => {
    lane = socket;
  });
  const opened = await open(t, port);
  await until(() => lane !== undefined);
  const [said, unsaid, early] = [1, 2, 3].map(() => opened.lane.take(room(100).shared)) as [Body, Body, Body];
  let over = 0;
  for (const { whole } of [said, unsaid, early]) void whole.catch(() => {}).finally(() => over++);
  said.begin();
  for (const body of [said, unsaid, early]) body.abandon();
  // The holder's word may come after nobody wants the body any more, and after the body.
  unsaid.begin();
  await opened.lane.take(room(1).shared).cancel();
  assert.equal(over, 0);
  assert.equal(opened.lane.isIdle, false);
  for (const tag of [1, 2, 3]) lane?.write(body(tag, randomBytes(100)));
  await until(() => over === 3);
  early.begin();
  assert.ok(opened.lane.isIdle);
});

test('what nobody wants and nobody says is coming keeps no lane from being idle', async (t) => {
  const { lane } = await open(t, await holder(t, () => {}));
  lane.take(room(100).shared).abandon();
  assert.ok(lane.isIdle);
});

test('a limit holds on the lane within 5 %, and is nobody’s stall', async (t) => {
  const rate = 8 * MIB;
  const download = createThrottle([{ rate, from: 0, to: 0, days: [0, 1, 2, 3, 4, 5, 6] }]);
  const bytes = randomBytes(MIB);
  const port = await holder(t, (socket) => {
    for (let tag = 1; tag <= 16; tag++) socket.write(body(tag, bytes));
  });
  const { lane } = await open(t, port, { download });
  const since = performance.now();
  const taken = Array.from({ length: 16 }, () => coming(lane, room(MIB).shared));
  const at = await Promise.all(taken.map(({ whole }) => whole.then(() => performance.now() - since)));
  const seconds = (at.at(-1) ?? 0) / 1000;
  // After a pause a tenth of a second's worth goes at once.
  assert.ok(seconds >= (16 / 8) * 0.95 - 0.1, `${seconds} s`);
  // What is paid for is read of the body that comes, and not of each a little.
  assert.ok((at[0] ?? 0) < (at[15] ?? 0) / 2, `the first of sixteen after ${at[0]} ms of ${at[15]}`);
});

test('a body whose announcement was lost is paid for all the same, once, and holds up none behind it', async (t) => {
  const download = createThrottle([{ rate: 8 * MIB, from: 0, to: 0, days: [0, 1, 2, 3, 4, 5, 6] }]);
  const [first, second] = [randomBytes(MIB), randomBytes(MIB)];
  const port = await holder(t, (socket) => socket.write(Buffer.concat([body(1, first), body(2, second)])));
  const { lane } = await open(t, port, { download });
  const lost = lane.take(room(MIB).shared);
  lost.unannounced();
  lost.abandon();
  const into = room(MIB);
  await coming(lane, into.shared).whole;
  assert.ok(second.equals(into.bytes));
  // Nothing is left over that others would come for unpaid.
  lost.begin();
  lost.unannounced();
  assert.ok(lane.isIdle);
});

test('the thread dies: what was to come does not, and its memory is left alone', async (t) => {
  const workers: { terminate(): Promise<number> }[] = [];
  const onWorker = (worker: { terminate(): Promise<number> }) => workers.push(worker);
  process.on('worker', onWorker as never);
  t.after(() => process.off('worker', onWorker as never));
  const port = await holder(t, (socket) => socket.write(body(1, randomBytes(MIB / 2), MIB)));
  const { lane, closed } = await open(t, port);
  const coming = lane.take(room(MIB).shared);
  await workers.at(-1)?.terminate();
  await assert.rejects(coming.whole, { code: 'PEER_UNREACHABLE' });
  await coming.cancel();
  assert.deepEqual(
    closed.map(({ reason }) => reason),
    ['the bulk thread died'],
  );
});

test('what a thread said before it died is not heard after its death', async (t) => {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => workers.push(worker);
  process.on('worker', onWorker);
  t.after(() => process.off('worker', onWorker));
  const joined: string[] = [];
  const thread = new BulkThread(
    pino({ enabled: false }),
    (_, peer) => joined.push(peer),
    () => {},
  );
  t.after(() => thread.close());
  await thread.listen('127.0.0.1', 0);
  const [worker] = workers;
  assert.ok(worker);
  worker.emit('message', { kind: 'joined', connection: -1, peer: 'alice' });
  worker.emit('error', new Error('as the test says'));
  worker.emit('message', { kind: 'joined', connection: -2, peer: 'bob' });
  assert.deepEqual(joined, ['alice']);
  await worker.terminate();
});

test('a peer’s lane that has ended ends no other, whose number may be the same after the thread’s death', async () => {
  const ended: number[] = [];
  const followers: Follower[] = [];
  const thread = {
    follow: (_: number, follower: Follower) => followers.push(follower),
    end: (which: number) => ended.push(which),
    send: () => {},
  };
  const lane = new OutgoingLane(thread as unknown as BulkThread, -1, STALL, () => {});
  const { promise: paid, resolve: pay } = Promise.withResolvers<void>();
  async function* pieces() {
    await paid;
    yield randomBytes(10);
  }
  const sending = lane.send(20, pieces(), () => {});
  followers[0]?.closed('the bulk thread died', false);
  pay();
  await assert.rejects(sending, { code: 'PEER_UNREACHABLE' });
  assert.deepEqual(ended, []);
});
