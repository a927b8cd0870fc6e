import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { Bodies } from '../../../../agent/swarm/bulk/thread/bodies.ts';
import { listen } from '../../../../agent/swarm/bulk/thread/listener.ts';
import { MAX_STRANGERS, Strangers } from '../../../../agent/swarm/bulk/thread/strangers.ts';
import { TICKET_LIFETIME, Tickets } from '../../../../agent/swarm/bulk/thread/tickets.ts';
import { hasAes, TLS } from '../../../../agent/swarm/bulk/thread/tls.ts';
import { BODY_HEAD_LENGTH, encodeBodyHead } from '../../../../protocol/bulk.ts';

/* What the thread decides by, without its sockets. Times are ms of a clock of the tests' own. */

const KEY = randomBytes(32);

test('a ticket is good once, for whoever was given it, and soon', () => {
  const tickets = new Tickets();
  tickets.add('a', KEY, 'alice', 0);
  tickets.add('b', KEY, 'bob', 5_000);
  assert.equal(tickets.use('b', 5_001)?.peer, 'bob');
  assert.equal(tickets.use('b', 5_002), undefined);
  assert.equal(tickets.use('c', 5_002), undefined);
  assert.equal(tickets.use('a', TICKET_LIFETIME), undefined);
  tickets.add('a', KEY, 'alice', TICKET_LIFETIME);
  assert.equal(tickets.use('a', 2 * TICKET_LIFETIME - 1)?.peer, 'alice');
  assert.equal(tickets.size, 0);
});

test('who asks for tickets without end has one, and takes nobody else’s', () => {
  const tickets = new Tickets();
  tickets.add('bob', KEY, 'bob', 0);
  for (let ask = 0; ask < 5_000; ask++) tickets.add(`mallory ${ask}`, KEY, 'mallory', 1);
  assert.equal(tickets.size, 2);
  assert.equal(tickets.use('mallory 4998', 2), undefined);
  assert.equal(tickets.use('bob', 2)?.peer, 'bob');
  // However many there are, their number has a bound.
  for (let ask = 0; ask < 5_000; ask++) tickets.add(`ticket ${ask}`, KEY, `peer ${ask}`, 3);
  assert.ok(tickets.size <= 1_024);
  assert.equal(tickets.use('ticket 4999', 4)?.peer, 'peer 4999');
});

test('who comes too late with its ticket is refused, and who comes in time is let in', async (t) => {
  const tickets = new Tickets();
  const joined: string[] = [];
  const { server, port } = await listen({ host: '127.0.0.1', port: 0 }, tickets, (peer, socket) => {
    joined.push(peer);
    socket.destroy();
  });
  t.after(() => void server.close());
  tickets.add('late', KEY, 'alice', performance.now() - TICKET_LIFETIME);
  tickets.add('soon', KEY, 'bob', performance.now());
  for (const identity of ['late', 'soon']) {
    const socket = connect({
      ...TLS,
      host: '127.0.0.1',
      port,
      pskCallback: () => ({ psk: KEY, identity }),
      checkServerIdentity: () => undefined,
    });
    socket.on('error', () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.resume().once('close', () => resolve());
    await promise;
  }
  assert.deepEqual(joined, ['bob']);
});

test('AES where the processor has instructions for it, ChaCha20 where it has none, AES where nobody knows', () => {
  assert.ok(hasAes('processor\t: 0\nflags\t\t: fpu vme aes avx2\n'));
  assert.ok(hasAes('processor\t: 0\nFeatures\t: fp asimd aes pmull sha1\n'));
  assert.equal(hasAes('processor\t: 0\nFeatures\t: half thumb vfpv3 neon\n'), false);
  assert.equal(hasAes('model name\t: aes\nflags\t\t: fpu vaes\n'), false);
  assert.ok(hasAes(undefined));
});

test('one address has so many places for who shows no ticket, and gets them back', () => {
  const strangers = new Strangers();
  const from = (remoteAddress: string, remotePort: number) => ({ remoteAddress, remotePort });
  for (let port = 1; port <= MAX_STRANGERS; port++) assert.ok(strangers.came(from('10.0.0.1', port)));
  assert.equal(strangers.came(from('10.0.0.1', 99)), false);
  assert.ok(strangers.came(from('10.0.0.2', 99)));
  strangers.left('10.0.0.1', 1);
  // One that has shown its ticket leaves a second time, when it closes.
  strangers.left('10.0.0.1', 1);
  assert.ok(strangers.came(from('10.0.0.1', 100)));
  assert.equal(strangers.came(from('10.0.0.1', 101)), false);
  assert.equal(strangers.came({}), false);
});

function body(tag: number, bytes: Uint8Array): Buffer {
  const head = new Uint8Array(BODY_HEAD_LENGTH);
  encodeBodyHead({ tag, length: bytes.length }, head);
  return Buffer.concat([head, bytes]);
}

const room = (length: number) => ({ memory: new SharedArrayBuffer(length), offset: 0, length });

test('what is held is told byte by byte: a body waits for what is paid, a head and what was cancelled do not', () => {
  const taken: number[] = [];
  const bodies = new Bodies(
    (tag) => taken.push(tag),
    () => {},
  );
  bodies.add(1, room(100), 0);
  bodies.add(2, room(100), 100);
  bodies.cancel(2);
  bodies.add(3, room(0), 0);
  assert.equal(bodies.isHeld, false);
  const stream = Buffer.concat([body(3, Buffer.alloc(0)), body(1, randomBytes(100))]);
  bodies.feed(stream.subarray(0, 2 * BODY_HEAD_LENGTH));
  assert.deepEqual(taken, [3]);
  assert.ok(bodies.isHeld);
  bodies.allow(60);
  bodies.feed(stream.subarray(2 * BODY_HEAD_LENGTH, 2 * BODY_HEAD_LENGTH + 59));
  assert.equal(bodies.isHeld, false);
  bodies.feed(stream.subarray(2 * BODY_HEAD_LENGTH + 59, 2 * BODY_HEAD_LENGTH + 60));
  assert.ok(bodies.isHeld);
  // A read that had more in it than may be read, up to the body's end: there is nothing more to wait for.
  bodies.feed(stream.subarray(2 * BODY_HEAD_LENGTH + 60));
  assert.deepEqual(taken, [3, 1]);
  assert.equal(bodies.isHeld, false);
  // The next pays for it.
  bodies.add(4, room(50), 50);
  bodies.feed(body(4, randomBytes(50)).subarray(0, BODY_HEAD_LENGTH + 10));
  assert.equal(bodies.isHeld, true);
});

test('a body that is cancelled while it comes is dropped to its end; one that has not begun must not come', () => {
  const taken: (string | undefined)[] = [];
  const bodies = new Bodies(
    (_, sha256) => taken.push(sha256 && Buffer.from(sha256).toString('hex')),
    () => {},
  );
  const [first, second] = [room(100), room(100)];
  bodies.add(1, first, 100);
  bodies.add(2, second, 100);
  const bytes = randomBytes(100);
  const stream = Buffer.concat([body(1, randomBytes(100)), body(2, bytes)]);
  bodies.feed(stream.subarray(0, 50));
  bodies.cancel(1);
  const had = Buffer.from(new Uint8Array(first.memory));
  bodies.feed(stream.subarray(50));
  assert.deepEqual(Buffer.from(new Uint8Array(first.memory)), had, 'its memory is another’s by then');
  assert.deepEqual(taken, [undefined, hash('sha256', bytes)]);
  bodies.add(3, room(1), 1);
  bodies.cancel(3);
  assert.throws(() => bodies.feed(body(3, Buffer.alloc(1))), /nobody asked/);
});

test('bodies that are asked for and never come have a bound', () => {
  const bodies = new Bodies(
    () => {},
    () => {},
  );
  for (let tag = 0; tag < 256; tag++) bodies.add(tag, room(1), 1);
  assert.throws(() => bodies.add(256, room(1), 1), /too many/);
});

test('a body that is read before word that it is wanted has been asked for', () => {
  const taken: number[] = [];
  const unheard = [() => bodies.add(1, room(3), 3), () => bodies.add(2, room(3), 3)];
  const bodies: Bodies = new Bodies(
    (tag) => taken.push(tag),
    () => {
      for (const hear of unheard.splice(0)) hear();
    },
  );
  bodies.feed(Buffer.concat([body(2, Buffer.from('abc')), body(1, Buffer.from('abc'))]));
  assert.deepEqual(taken, [2, 1]);
  assert.throws(() => bodies.feed(body(3, Buffer.from('abc'))), /nobody asked/);
});

test('however bytes are cut and bodies are held, each comes whole, once, and in the order it was sent', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 12 });
  const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 120 }));
  fc.assert(
    fc.property(lengths, cuts, fc.boolean(), (sizes, pieces, isLimited) => {
      const sent = sizes.map((size) => randomBytes(size));
      const rooms = sizes.map(room);
      const taken: number[] = [];
      const bodies = new Bodies(
        (tag, sha256) => {
          taken.push(tag);
          assert.equal(sha256 && Buffer.from(sha256).toString('hex'), hash('sha256', sent[tag] as Buffer));
        },
        () => {},
      );
      for (const [tag, into] of rooms.entries()) bodies.add(tag, into, isLimited ? 0 : into.length);
      const stream = Buffer.concat(sent.map((bytes, tag) => body(tag, bytes)));
      for (let at = 0; at < stream.length; ) {
        // Paid for a little at a time, and only where it is held: it always reads on.
        while (bodies.isHeld) bodies.allow(16);
        const end = at + (pieces.next().value ?? 1);
        bodies.feed(stream.subarray(at, end));
        at = end;
      }
      assert.deepEqual(taken, [...sizes.keys()]);
      for (const [tag, { memory }] of rooms.entries()) assert.ok(sent[tag]?.equals(new Uint8Array(memory)));
    }),
  );
});
