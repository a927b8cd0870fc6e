import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Fleet } from '../../../../agent/fetch/rules/fleet.ts';
import { bitmapOf, fullBitmap } from '../../../../protocol/bitmap.ts';
import { MAX_CHUNKS } from '../../../../protocol/chunks.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import type { FleetMessage } from '../../../../protocol/messages.ts';
import { rendezvousOrder } from '../../../../protocol/rendezvous.ts';
import { DIGEST, MiB, said } from '../../../support/simulation/said.ts';

const COUNT = 40;
const NAMES = ['a', 'b', 'c'];
const [FIRST, SECOND, THIRD] = rendezvousOrder(DIGEST, NAMES) as [string, string, string];

function fleetOf(self: string): Fleet {
  const fleet = new Fleet({ self });
  for (const name of NAMES) if (name !== self) fleet.came(name);
  return fleet;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What bitmaps take. */
function heldBytes(): number {
  // What the first has found is given back by the second.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

function join(fleet: Fleet, now = 0): void {
  const have = bitmapOf(COUNT);
  fleet.join(DIGEST, COUNT * MiB, { have, marked: bitmapOf(COUNT), searchUntil: now, first: 0 }, now);
}

describe('Fleet', () => {
  it('takes all of a blob from upstream at once where it is alone', () => {
    const fleet = new Fleet({ self: 'a' });
    join(fleet);
    assert.deepEqual(fleet.wishes(), [{ kind: 'upstream', digest: DIGEST, from: 0, to: COUNT }]);
  });

  it('asks the coordinator first, and goes upstream with what it is granted', () => {
    const fleet = fleetOf(SECOND);
    join(fleet);
    const wishes = fleet.wishes();
    assert.ok(wishes.every(({ kind }) => kind === 'tell'));
    assert.deepEqual(
      wishes.flatMap((wish) => (wish.kind === 'tell' && wish.message.type === 'claim' ? wish.peers : [])),
      [FIRST],
    );
    fleet.heard(FIRST, { type: 'grant', digest: DIGEST, segment: [4, 8], partners: [] }, 2);
    const [upstream, told] = fleet.wishes();
    assert.deepEqual(upstream, { kind: 'upstream', digest: DIGEST, from: 4, to: 8 });
    assert.ok(told?.kind === 'tell' && told.message.type === 'taking');
    assert.deepEqual(told.message.leases, [[4, 8]]);
  });

  it('listens to no grant that it did not ask for, and to nobody it does not know', () => {
    const fleet = fleetOf(SECOND);
    join(fleet);
    fleet.wishes();
    fleet.heard(THIRD, { type: 'grant', digest: DIGEST, segment: [4, 8], partners: [] }, 2);
    fleet.heard('stranger', said(COUNT, [0, 1, 2]), 2);
    assert.deepEqual(fleet.wishes(), []);
  });

  it('takes a chunk that somebody has from there, and not from upstream', () => {
    const fleet = fleetOf(SECOND);
    join(fleet);
    fleet.heard(FIRST, { type: 'grant', digest: DIGEST, segment: [0, 4], partners: [] }, 2);
    fleet.wishes();
    assert.ok(fleet.goesOn(DIGEST, 1, 50));
    fleet.heard(THIRD, said(COUNT, [2]), 100);
    assert.deepEqual(fleet.wishes(), [{ kind: 'take', digest: DIGEST, peer: THIRD, index: 2 }]);
    assert.ok(!fleet.goesOn(DIGEST, 2, 110));
  });

  it('drops what a peer higher in the order takes, not what a lower one does', () => {
    const fleet = fleetOf(SECOND);
    join(fleet);
    fleet.heard(FIRST, { type: 'grant', digest: DIGEST, segment: [0, 8], partners: [] }, 2);
    fleet.heard(THIRD, said(COUNT, [], [[2, 4]]), 10);
    assert.ok(fleet.goesOn(DIGEST, 2, 20));
    fleet.heard(FIRST, said(COUNT, [], [[3, 4]]), 30);
    assert.ok(!fleet.goesOn(DIGEST, 3, 40));
  });

  it('tells who comes anew at once what it takes', () => {
    const fleet = new Fleet({ self: 'a' });
    join(fleet);
    fleet.wishes();
    fleet.came('b');
    const [wish] = fleet.wishes();
    assert.ok(wish?.kind === 'tell' && wish.message.type === 'taking');
    assert.deepEqual([wish.peers, wish.message.leases], [['b'], [[0, 16]]]);
  });

  it('goes on alone, in the order, past those who do not answer', () => {
    const fleet = fleetOf(THIRD);
    join(fleet);
    const asked: string[] = [];
    for (let now = 0; now < 1_000; now = fleet.dueAt(now)) {
      fleet.tick(now);
      for (const wish of fleet.wishes()) {
        if (wish.kind === 'tell' && wish.message.type === 'claim') asked.push(...wish.peers);
        if (wish.kind === 'upstream') {
          assert.deepEqual(asked, [FIRST, SECOND]);
          return;
        }
      }
    }
    assert.fail('it never went upstream');
  });

  it('is silent once it has all, and nobody lacks anything', () => {
    const fleet = new Fleet({ self: 'a' });
    join(fleet);
    fleet.on(DIGEST, 10, (own) => {
      for (let index = 0; index < COUNT; index++) own.took(index, 'mark', 10);
    });
    fleet.on(DIGEST, 20, (own) => own.upstreamEnded(true, 20));
    fleet.on(DIGEST, 20, (own) => own.completed(20));
    fleet.wishes();
    fleet.tick(10_000);
    assert.equal(fleet.dueAt(10_000), Number.POSITIVE_INFINITY);
  });

  it('gives each chunk of what has matched as a whole, also what no mark vouched for and no map does any more', () => {
    const fleet = new Fleet({ self: 'a' });
    fleet.came('b');
    join(fleet);
    const root = new Uint8Array(32).fill(1);
    const marks = () =>
      fleet.wishes().flatMap((wish) => (wish.kind === 'tell' && wish.message.type === 'taking' ? [wish.message] : []));
    fleet.on(DIGEST, 10, (own) => {
      own.use(root, ['liar']);
      for (let index = 0; index < COUNT; index++) own.took(index, 'map', 10);
      own.use(undefined, []);
    });
    fleet.tick(1_100);
    assert.deepEqual([marks().at(-1)?.marks, marks().at(-1)?.mapped ?? null], [bitmapOf(COUNT), null]);
    fleet.on(DIGEST, 1_200, (own) => own.completed(1_200));
    fleet.tick(1_250);
    assert.deepEqual(marks().at(-1)?.marks, fullBitmap(COUNT));
  });

  it('keeps nothing of what a neighbour makes up, however much it says', () => {
    const fleet = fleetOf('a');
    const count = MAX_CHUNKS;
    const say = (from: number, to: number): void => {
      for (let each = from; each < to; each++) {
        const digest = toDigest('sha256', hash('sha256', String(each), 'buffer'));
        const message = { ...said(count, [], [[0, 4]]), digest };
        fleet.heard('b', message, each);
        fleet.wishes();
      }
    };
    say(0, 600);
    const before = heldBytes();
    say(600, 6_000);
    assert.ok(heldBytes() - before < 4 * MiB, `${heldBytes() - before} bytes`);
  });

  it('takes matters in its own hands where nobody takes, gives or grants what is missing', () => {
    const fleet = fleetOf(SECOND);
    join(fleet);
    fleet.heard(FIRST, { type: 'grant', digest: DIGEST, segment: [0, 4], partners: [] }, 2);
    fleet.wishes();
    const others = (now: number): void => {
      for (const peer of [FIRST, THIRD]) fleet.heard(peer, said(COUNT, []), now);
    };
    // Nothing came of its lease, so that it is barred, by itself too.
    for (let now = 10; now < 6_000; now += 500) others(now);
    fleet.on(DIGEST, 6_000, (own) => own.upstreamEnded(true, 6_000));
    for (let now = 6_000; now < 16_000; now = Math.min(fleet.dueAt(now), now + 500)) {
      others(now);
      fleet.tick(now);
      for (const wish of fleet.wishes()) {
        if (wish.kind === 'upstream') return;
        if (wish.kind !== 'tell' || wish.message.type !== 'claim') continue;
        const refusal: FleetMessage = { type: 'refuse', digest: DIGEST, fetching: [], partners: [] };
        for (const peer of wish.peers) fleet.heard(peer, refusal, now);
      }
    }
    assert.fail('it never went upstream');
  });

  it('says that it has all, and leaves only when its inventory has told so: else who begins then goes upstream', () => {
    const fleet = new Fleet({ self: 'a' });
    fleet.came('b');
    join(fleet);
    fleet.on(DIGEST, 10, (own) => {
      for (let index = 0; index < COUNT; index++) own.took(index, 'mark', 10);
    });
    fleet.on(DIGEST, 20, (own) => own.completed(20));
    const told: [number, string][] = [];
    for (let now = 20; Number.isFinite(now) && now < 5_000; now = fleet.dueAt(now)) {
      fleet.tick(now);
      for (const wish of fleet.wishes()) if (wish.kind === 'tell') told.push([now, wish.message.type]);
    }
    const left = told.filter(([, type]) => type === 'left').map(([at]) => at);
    assert.deepEqual(left, [270]);
    assert.ok(told.some(([at, type]) => type === 'taking' && at >= 20 && at < 270));
  });
});
