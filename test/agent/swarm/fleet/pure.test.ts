import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Attendant as AttendantPort } from '../../../../agent/fetch/ports.ts';
import { createAttendance } from '../../../../agent/swarm/fleet/attendance.ts';
import { createOutbox } from '../../../../agent/swarm/fleet/outbox.ts';
import { createPace } from '../../../../agent/swarm/fleet/pace.ts';
import { WAITING_FLEET_MESSAGES, WAITING_STATES } from '../../../../agent/swarm/limits.ts';
import type { Attendant } from '../../../../agent/swarm/ports.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import type { FleetMessage } from '../../../../protocol/messages.ts';

const digestOf = (n: number): Digest => {
  const hash = Buffer.alloc(32);
  hash.writeUInt32BE(n);
  return toDigest('sha256', hash);
};
const taking = (blob: number): FleetMessage => ({
  type: 'taking',
  digest: digestOf(blob),
  size: null,
  marks: new Uint8Array(1),
  mapped: null,
  leases: [],
  received: 0,
});
const claim = (blob: number): FleetMessage => ({ type: 'claim', digest: digestOf(blob), size: null, first: 0 });
const left = (blob: number): FleetMessage => ({ type: 'left', digest: digestOf(blob) });

/** A frame that shows which it is. */
const frame = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 0xff);

/** Everything that waits, in order. */
function drain(outbox: ReturnType<typeof createOutbox>): number[] {
  const all = outbox.take(Number.POSITIVE_INFINITY) ?? new Uint8Array(0);
  assert.equal(outbox.size, 0);
  return Array.from({ length: all.length / 2 }, (_, at) => ((all[2 * at] ?? 0) << 8) | (all[2 * at + 1] ?? 0));
}

test('a state that waits gives way to a newer one, which goes behind what was said in between', () => {
  const outbox = createOutbox();
  const say = [taking(1), claim(1), taking(2), taking(1), left(2), taking(2), left(1)];
  for (const [at, message] of say.entries()) outbox.add(message, frame(at));
  // The states 0 and 2 by 3 and by leaving; 3 by leaving.
  assert.deepEqual(drain(outbox), [1, 4, 5, 6]);
});

test('what waits is bounded: the oldest go, and nothing goes out of order', () => {
  const step = fc.record({ kind: fc.constantFrom(taking, claim, left), blob: fc.nat(400) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 200, maxLength: 1_000 }), (steps) => {
      const outbox = createOutbox();
      for (const [at, { kind, blob }] of steps.entries()) outbox.add(kind(blob), frame(at));
      const gone = drain(outbox);
      assert.deepEqual(
        gone,
        [...gone].sort((one, other) => one - other),
      );
      const states = gone.filter((at) => steps[at]?.kind === taking);
      const others = steps.flatMap(({ kind }, at) => (kind === taking ? [] : [at]));
      assert.ok(states.length <= WAITING_STATES);
      assert.deepEqual(
        gone.filter((at) => steps[at]?.kind !== taking),
        others.slice(-WAITING_FLEET_MESSAGES),
      );
      for (const at of states) {
        const { blob } = steps[at] ?? {};
        assert.ok(
          steps.slice(at + 1).every(({ kind, blob: later }) => later !== blob || kind === claim),
          'a state that waits is the last word on its blob',
        );
      }
    }),
  );
});

test('a piece is as many whole messages as fit, and one at least', () => {
  const outbox = createOutbox();
  for (const at of [0, 1, 2]) outbox.add(claim(at), frame(at));
  assert.equal(outbox.take(5)?.length, 4);
  outbox.add(claim(3), new Uint8Array(10));
  assert.deepEqual(outbox.take(5), frame(2));
  assert.equal(outbox.take(5)?.length, 10);
  assert.equal(outbox.take(5), undefined);
  outbox.add(claim(4), frame(4));
  outbox.clear();
  assert.equal(outbox.size, 0);
  assert.equal(outbox.take(5), undefined);
});

test('a pace lets a burst through, and then no more than its rate', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 50, maxLength: 300 }), (gaps) => {
      const pace = createPace({ rate: 400, burst: 20 });
      let now = 0;
      let read = 0;
      for (const gap of gaps) {
        now += gap;
        read += 1;
        now += pace.take(now);
        // Whoever waits as it is told reads no more than this.
        assert.ok(read <= 20 + (now * 400) / 1_000 + 1e-6, `${read} after ${now} ms`);
      }
    }),
  );
  const idle = createPace({ rate: 400, burst: 20 });
  for (let n = 0; n < 20; n++) assert.equal(idle.take(0), 0);
  assert.equal(idle.take(0), 2.5);
  assert.equal(idle.take(1_000_000), 0);
});

/** An attendant that writes down what it is told. */
function witness() {
  const log: string[] = [];
  const attendant: Attendant = {
    came: ({ peer, address }) => log.push(`${peer} came from ${address}`),
    left: (peer) => log.push(`${peer} left`),
    heard: (peer, { type }) => log.push(`${peer} said ${type}`),
    chunk: async () => Uint8Array.of(1),
    mark: () => ({ signer: 'peer', signature: new Uint8Array(64) }),
  };
  return { log, attendant };
}

// The two roles have their own word for it, which the compiler compares here.
const asPort = (attendant: Attendant): AttendantPort => attendant;
const asAttendant = (attendant: AttendantPort): Attendant => attendant;

test('an attendant is told of each neighbour once, and hears it only in between', async () => {
  const attendance = createAttendance();
  const { log, attendant } = witness();
  const signal = new AbortController().signal;
  assert.equal(await attendance.chunk(digestOf(1), 0, signal), undefined);
  assert.equal(attendance.mark(digestOf(1), 0), undefined);
  attendance.came({ peer: 'early', address: 'a' });
  attendance.came({ peer: 'gone', address: 'b' });
  attendance.left('gone');
  attendance.heard('early', claim(1));
  attendance.attend(asAttendant(asPort(attendant)));
  attendance.heard('stranger', claim(1));
  attendance.came({ peer: 'late', address: 'c' });
  attendance.came({ peer: 'late', address: 'c' });
  attendance.heard('late', claim(1));
  attendance.left('late');
  attendance.left('late');
  attendance.heard('late', claim(1));
  attendance.heard('early', left(1));
  assert.deepEqual(log, ['early came from a', 'late came from c', 'late said claim', 'late left', 'early said left']);
  assert.deepEqual(await attendance.chunk(digestOf(1), 0, signal), Uint8Array.of(1));
  assert.equal(attendance.mark(digestOf(1), 0)?.signer, 'peer');
});
