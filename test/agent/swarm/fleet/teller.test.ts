import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stream } from '@libp2p/interface';
import { createTeller } from '../../../../agent/swarm/fleet/teller.ts';
import { WAITING_FLEET_MESSAGES } from '../../../../agent/swarm/limits.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import type { FleetMessage } from '../../../../protocol/messages.ts';

const digest = toDigest('sha256', Buffer.alloc(32));
const claim: FleetMessage = { type: 'claim', digest, size: null, first: 0 };
const taking: FleetMessage = {
  type: 'taking',
  digest,
  size: null,
  marks: new Uint8Array(1),
  mapped: null,
  leases: [],
  received: 0,
};

/** As much of a libp2p stream as a teller uses. */
class FakeStream extends EventTarget {
  readonly sent: number[][] = [];
  writableNeedsDrain = false;
  writeBufferLength = 0;
  broken = false;

  send(bytes: Uint8Array): boolean {
    if (this.broken) throw new Error('Cannot write to a stream that is closed');
    this.sent.push([...bytes]);
    return !this.writableNeedsDrain;
  }

  /** As libp2p does it: what is left is sent a microtask after the event. */
  drain(): void {
    this.writableNeedsDrain = false;
    queueMicrotask(() => {
      this.writeBufferLength = 0;
    });
    this.dispatchEvent(new Event('drain'));
  }
}

/** A control client whose stream opens when the test says so. */
function fakeControl(fake = new FakeStream()) {
  let opening: PromiseWithResolvers<Stream> | undefined;
  const control = {
    stream: undefined as Stream | undefined,
    opens: 0,
    open(): Promise<Stream> {
      control.opens += 1;
      opening = Promise.withResolvers<Stream>();
      return opening.promise;
    },
  };
  return {
    fake,
    control,
    opened() {
      control.stream = fake as unknown as Stream;
      opening?.resolve(control.stream);
    },
    refused: () => opening?.reject(new Error('refused')),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const microtask = () => Promise.resolve();

test('on an open and idle stream a message leaves in the same turn, with what else is told in it', async () => {
  const { fake, control, opened } = fakeControl();
  opened();
  const teller = createTeller({ control, now: () => 0 });
  teller.tell(claim, Uint8Array.of(1));
  teller.tell(claim, Uint8Array.of(2));
  await microtask();
  assert.deepEqual(fake.sent, [[1, 2]]);
  teller.tell(claim, Uint8Array.of(3));
  await microtask();
  assert.deepEqual(fake.sent, [[1, 2], [3]]);
  assert.equal(control.opens, 0);
});

test('where no stream is open, one is opened, once, and what waited goes in order', async () => {
  const { fake, control, opened } = fakeControl();
  const teller = createTeller({ control, now: () => 0 });
  teller.tell(claim, Uint8Array.of(1));
  await turn();
  teller.tell(claim, Uint8Array.of(2));
  await turn();
  assert.equal(control.opens, 1);
  opened();
  await turn();
  assert.deepEqual(fake.sent, [[1, 2]]);
});

test('a neighbour that does not take what it is sent is sent no more until it does, and then the latest', async () => {
  const { fake, control, opened } = fakeControl();
  opened();
  const teller = createTeller({ control, now: () => 0 });
  fake.writableNeedsDrain = true;
  fake.writeBufferLength = 1;
  for (let n = 0; n < 1_000; n++) {
    teller.tell(taking, Uint8Array.of(200));
    teller.tell(claim, Uint8Array.of(n % 100));
  }
  await turn();
  assert.deepEqual(fake.sent, []);
  fake.drain();
  await turn();
  const [piece = [], ...more] = fake.sent;
  assert.deepEqual(more, []);
  assert.equal(piece.length, WAITING_FLEET_MESSAGES + 1);
  assert.deepEqual(piece.slice(-2), [200, 99]);
});

test('after a stream that did not open nothing is told for a while, and nothing is kept', async () => {
  const { fake, control, opened, refused } = fakeControl();
  let now = 0;
  const teller = createTeller({ control, now: () => now });
  teller.tell(claim, Uint8Array.of(1));
  await turn();
  refused();
  await turn();
  teller.tell(claim, Uint8Array.of(2));
  await turn();
  assert.equal(control.opens, 1);
  now = 1_000;
  teller.tell(claim, Uint8Array.of(3));
  await turn();
  assert.equal(control.opens, 2);
  opened();
  await turn();
  assert.deepEqual(fake.sent, [[3]]);
});

test('a stream that breaks loses what was told, and the next takes over', async () => {
  const first = fakeControl();
  first.opened();
  const teller = createTeller({ control: first.control, now: () => 0 });
  first.fake.broken = true;
  teller.tell(claim, Uint8Array.of(1));
  await turn();
  const next = new FakeStream();
  first.control.stream = next as unknown as Stream;
  teller.tell(claim, Uint8Array.of(2));
  await turn();
  assert.deepEqual(next.sent, [[2]]);
});

test('a teller that was stopped tells nothing more', async () => {
  const { fake, control, opened } = fakeControl();
  const teller = createTeller({ control, now: () => 0 });
  teller.tell(claim, Uint8Array.of(1));
  await turn();
  teller.stop();
  opened();
  teller.tell(claim, Uint8Array.of(2));
  await turn();
  assert.deepEqual(fake.sent, []);
});
