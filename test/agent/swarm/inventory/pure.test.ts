import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { announcementsOf } from '../../../../agent/swarm/inventory/announcements.ts';
import { createInventories, type Telling } from '../../../../agent/swarm/inventory/inventories.ts';
import { createPending, type Pending } from '../../../../agent/swarm/inventory/pending.ts';
import { retellDelay } from '../../../../agent/swarm/inventory/retell.ts';
import { createRoster, type Roster } from '../../../../agent/swarm/inventory/roster.ts';
import { ANNOUNCE_WITHIN } from '../../../../agent/swarm/limits.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import { type Announcement, controlRequests } from '../../../../protocol/messages.ts';

const digestOf = (n: number): Digest => toDigest('sha256', Buffer.alloc(32, n));
const ROOT = 'ab'.repeat(32);

/** Holdings of which only the names matter; a blob's size is its number. */
function holdings(first: readonly number[] = []) {
  const held = new Map<Digest, number>();
  const hold = new Set<(digest: Digest) => void>();
  const drop = new Set<(digest: Digest) => void>();
  for (const n of first) held.set(digestOf(n), n);
  return {
    held: (digest: Digest) => (held.has(digest) ? { size: held.get(digest) ?? 0, root: ROOT } : undefined),
    recent: (limit: number) => [...held.keys()].reverse().slice(0, limit),
    onHold(listener: (digest: Digest) => void) {
      hold.add(listener);
      return () => hold.delete(listener);
    },
    onDrop(listener: (digest: Digest) => void) {
      drop.add(listener);
      return () => drop.delete(listener);
    },
    add(n: number) {
      if (held.has(digestOf(n))) return;
      held.set(digestOf(n), n);
      for (const listener of hold) listener(digestOf(n));
    },
    remove(n: number) {
      if (held.delete(digestOf(n))) for (const listener of drop) listener(digestOf(n));
    },
    get digests() {
      return [...held.keys()];
    },
  };
}

/** One step of what the announcer does, over the real codec. Returns whether there was anything to do. */
function step(pending: Pending, roster: Roster, telling: Telling, now: number): boolean {
  const next = pending.next(now);
  if (next.kind === 'wait') return false;
  assert.notEqual(next.kind, 'overflow');
  const messages =
    next.kind === 'tell'
      ? announcementsOf(next.digests, roster)
      : [{ type: 'complete' as const, truncated: roster.isTruncated }];
  for (const message of messages) {
    const read = controlRequests.decode(controlRequests.encode(message));
    assert.equal(read?.type, message.type);
    telling.take(read as Announcement);
  }
  return true;
}

test('in whatever order blobs come and go, and messages leave, the neighbour knows in the end what is true', () => {
  const event = fc.record({
    kind: fc.constantFrom('add', 'remove', 'step', 'reconnect'),
    n: fc.integer({ min: 0, max: 30 }),
    after: fc.integer({ min: 0, max: 2 * ANNOUNCE_WITHIN }),
  });
  const property = fc.property(
    fc.uniqueArray(fc.integer({ min: 0, max: 30 })),
    fc.array(event, { maxLength: 200 }),
    fc.integer({ min: 1, max: 7 }),
    fc.constantFrom(10, 100),
    (first, events, perMessage, limit) => {
      const own = holdings(first);
      const roster = createRoster(own, { limit });
      // What goes is told before what takes its place, but for what a message's end comes between.
      const inventories = createInventories({ perPeer: limit + perMessage });
      let now = 0;
      let pending = createPending(roster.whole(), { perMessage });
      let telling = inventories.open('peer');
      roster.onChange((digest) => pending.changed(digest, now));
      for (const { kind, n, after } of events) {
        now += after;
        if (kind === 'add') own.add(n);
        else if (kind === 'remove') own.remove(n);
        else if (kind === 'step') step(pending, roster, telling, now);
        else {
          telling.close();
          assert.equal(inventories.of('peer'), undefined);
          telling = inventories.open('peer');
          pending = createPending(roster.whole(), { perMessage });
        }
      }
      now += ANNOUNCE_WITHIN;
      while (step(pending, roster, telling, now));
      const told = inventories.of('peer');
      assert.ok(told);
      const known = own.digests.filter((digest) => told.get(digest) !== undefined);
      assert.equal(told.size, known.length, 'nothing is known that is not so');
      assert.deepEqual(known.sort(), roster.whole().sort());
      if (!roster.isTruncated) {
        assert.equal(told.size, own.digests.length, 'everything is known');
        assert.ok(told.isWhole);
      }
      for (const digest of known) assert.deepEqual(told.get(digest), own.held(digest));
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test('the first change goes at once, those that follow together, and the latest truth of each', () => {
  const own = holdings();
  const roster = createRoster(own);
  const pending = createPending([]);
  assert.equal(pending.next(0).kind, 'complete');
  assert.deepEqual(pending.next(0), { kind: 'wait', until: Number.POSITIVE_INFINITY });
  roster.onChange((digest) => pending.changed(digest, now));
  let now = 1_000;
  own.add(1);
  assert.deepEqual(pending.next(now), { kind: 'tell', digests: [digestOf(1)] });
  now += 10;
  own.add(2);
  own.add(3);
  own.remove(2);
  assert.deepEqual(pending.next(now), { kind: 'wait', until: 1_000 + ANNOUNCE_WITHIN });
  assert.deepEqual(pending.next(1_000 + ANNOUNCE_WITHIN - 1), { kind: 'wait', until: 1_000 + ANNOUNCE_WITHIN });
  now = 1_000 + ANNOUNCE_WITHIN;
  const step = pending.next(now);
  assert.ok(step.kind === 'tell');
  assert.deepEqual(announcementsOf(step.digests, roster), [
    { type: 'drop', digests: [digestOf(2)] },
    { type: 'hold', blobs: [[digestOf(3), 3, Buffer.from(ROOT, 'hex')]] },
  ]);
  assert.equal(pending.next(now).kind, 'wait');
});

test('a change goes before the rest of the whole, and the whole is told the most recently used first', () => {
  const pending = createPending([1, 2, 3, 4].map(digestOf), { perMessage: 2 });
  assert.deepEqual(pending.next(0), { kind: 'tell', digests: [digestOf(1), digestOf(2)] });
  pending.changed(digestOf(9), 0);
  assert.deepEqual(pending.next(0), { kind: 'tell', digests: [digestOf(9)] });
  assert.deepEqual(pending.next(0), { kind: 'tell', digests: [digestOf(3), digestOf(4)] });
  assert.deepEqual(pending.next(0), { kind: 'complete' });
});

test('what waits for a neighbour that takes nothing is one entry a blob, and bounded', () => {
  const pending = createPending([], { limit: 3 });
  for (let round = 0; round < 1_000; round++) pending.changed(digestOf(round % 3), 0);
  assert.equal(pending.next(0).kind, 'tell');
  for (let n = 0; n < 4; n++) pending.changed(digestOf(n), 0);
  assert.equal(pending.next(0).kind, 'overflow');
});

test('the roster keeps to its length: the longest held goes for what comes, and it is said that there is more', () => {
  const own = holdings([1, 2, 3]);
  const roster = createRoster(own, { limit: 3 });
  assert.deepEqual(roster.whole(), [3, 2, 1].map(digestOf));
  assert.equal(roster.isTruncated, false);
  const changes: Digest[] = [];
  roster.onChange((digest) => changes.push(digest));
  own.add(4);
  assert.deepEqual(changes, [digestOf(1), digestOf(4)]);
  assert.deepEqual(roster.whole(), [4, 3, 2].map(digestOf));
  assert.equal(roster.isTruncated, true);
  assert.equal(roster.describe(digestOf(1)), undefined);
  assert.equal(createRoster(own, { limit: 3 }).isTruncated, true);
  roster.stop();
  own.add(5);
  assert.deepEqual(roster.whole(), [4, 3, 2].map(digestOf));
});

const entry = (n: number) => [digestOf(n), n, new Uint8Array(32)] as [Digest, number, Uint8Array];

test('an inventory goes with its stream, and the stream told on last is the one that counts', () => {
  const inventories = createInventories();
  const first = inventories.open('peer');
  assert.equal(inventories.of('peer'), undefined);
  first.take({ type: 'hold', blobs: [entry(1)] });
  assert.equal(inventories.of('peer')?.isWhole, false);
  first.take({ type: 'complete', truncated: false });
  assert.equal(inventories.of('peer')?.isWhole, true);
  const second = inventories.open('peer');
  // A stream on which only questions come takes nothing over.
  assert.equal(inventories.of('peer')?.size, 1);
  second.take({ type: 'hold', blobs: [entry(2)] });
  first.take({ type: 'hold', blobs: [entry(3)] });
  first.close();
  assert.equal(inventories.of('peer')?.get(digestOf(1)), undefined);
  assert.equal(inventories.of('peer')?.size, 1);
  assert.equal(inventories.of('peer')?.get(digestOf(2))?.size, 2);
  second.take({ type: 'complete', truncated: true });
  assert.equal(inventories.of('peer')?.isWhole, false);
  second.close();
  second.close();
  assert.equal(inventories.of('peer'), undefined);
});

test('who tells more than it may breaks the protocol; what all tell together is bounded without blame', () => {
  const inventories = createInventories({ perPeer: 2, overall: 3 });
  const greedy = inventories.open('greedy');
  greedy.take({ type: 'hold', blobs: [entry(1), entry(2)] });
  // Nothing new.
  greedy.take({ type: 'hold', blobs: [entry(1), entry(2)] });
  assert.throws(() => greedy.take({ type: 'hold', blobs: [entry(3)] }), { code: 'PEER_PROTOCOL' });
  greedy.close();

  const [one, two] = [inventories.open('one'), inventories.open('two')];
  for (const telling of [one, two]) {
    telling.take({ type: 'hold', blobs: [entry(1), entry(2)] });
    telling.take({ type: 'complete', truncated: false });
  }
  assert.deepEqual([inventories.of('one')?.size, inventories.of('one')?.isWhole], [2, true]);
  assert.deepEqual([inventories.of('two')?.size, inventories.of('two')?.isWhole], [1, false]);
  one.close();
  two.close();
  const again = inventories.open('two');
  again.take({ type: 'hold', blobs: [entry(1), entry(2)] });
  again.take({ type: 'complete', truncated: false });
  assert.equal(inventories.of('two')?.isWhole, true);
});

test('what is told anew waits longer each time; who ends the stream again is left alone for long', () => {
  assert.deepEqual(retellDelay(0, undefined), { wait: 1_000, failures: 1 });
  assert.deepEqual(retellDelay(1, undefined), { wait: 2_000, failures: 2 });
  assert.equal(retellDelay(2_000, undefined).wait, 60_000);
  assert.deepEqual(retellDelay(0, 5), { wait: 1_000, failures: 1 });
  assert.equal(retellDelay(1, 5).wait, 600_000);
  assert.deepEqual(retellDelay(7, 60_000), { wait: 1_000, failures: 0 });
});
