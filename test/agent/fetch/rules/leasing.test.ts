import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fleet } from '../../../../agent/fetch/rules/fleet.ts';
import { bitmapOf } from '../../../../protocol/bitmap.ts';
import { rendezvousOrder } from '../../../../protocol/rendezvous.ts';
import { DIGEST, MiB, said } from '../../../support/simulation/said.ts';

const COUNT = 40;
const [FIRST, SECOND, THIRD] = rendezvousOrder(DIGEST, ['a', 'b', 'c']) as [string, string, string];

/** The second in the order, to whom the first has granted chunks 0 to 4, and who has had some bytes of the first. */
function taking(now = 0): Fleet {
  const fleet = new Fleet({ self: SECOND });
  fleet.came(FIRST);
  fleet.came(THIRD);
  fleet.join(DIGEST, COUNT * MiB, { have: bitmapOf(COUNT), marked: bitmapOf(COUNT), searchUntil: now, first: 0 }, now);
  fleet.heard(FIRST, { type: 'grant', digest: DIGEST, segment: [0, 4], partners: [] }, now);
  fleet.wishes();
  return fleet;
}

/** The first in the order wants a lease; twice, since at first there is but one of each blob. */
function claims(fleet: Fleet, size: number, first: number): void {
  for (const now of [2_400, 3_000]) fleet.heard(FIRST, { type: 'claim', digest: DIGEST, size, first }, now);
}

/** The segment that it grants, of what it tells now. */
function grantOf(fleet: Fleet): readonly number[] | undefined {
  for (const wish of fleet.wishes())
    if (wish.kind === 'tell' && wish.message.type === 'grant') return wish.message.segment;
  return undefined;
}

const kinds = (fleet: Fleet) => fleet.wishes().map(({ kind }) => kind);

/** Somebody says it, each second until `until`: silence would make it void. */
function keepsSaying(fleet: Fleet, message: ReturnType<typeof said>, from: number, until: number): void {
  for (let now = from; now <= until; now += 1_000) fleet.heard(THIRD, message, now);
}

describe('Leasing', () => {
  it('does not ask a peer for the chunk that upstream is sending just now', () => {
    const fleet = taking();
    fleet.heard(THIRD, said(COUNT, [0, 1]), 100);
    assert.deepEqual(fleet.wishes(), [{ kind: 'take', digest: DIGEST, peer: THIRD, index: 1 }]);
  });

  it('lets go of a chunk that upstream is late with once somebody else has it, and asks for it there', () => {
    const fleet = taking();
    keepsSaying(fleet, said(COUNT, [0]), 100, 4_100);
    assert.ok(!kinds(fleet).includes('halt'));
    keepsSaying(fleet, said(COUNT, [0]), 5_200, 5_200);
    assert.ok(kinds(fleet).includes('halt'));
    // Once is enough.
    keepsSaying(fleet, said(COUNT, [0]), 5_300, 5_300);
    assert.ok(!kinds(fleet).includes('halt'));
    fleet.on(DIGEST, 5_310, (own) => own.upstreamEnded(true, 5_310));
    assert.ok(fleet.wishes().some((wish) => wish.kind === 'take' && wish.index === 0));
  });

  it('lets go of a chunk that upstream is late with once somebody else takes it', () => {
    const fleet = taking();
    keepsSaying(fleet, said(COUNT, [9]), 100, 5_100);
    fleet.on(DIGEST, 5_110, (own) => {
      own.answered(THIRD, 9, 'done', 5_110);
      own.took(9, 'mark', 5_110);
    });
    assert.ok(!kinds(fleet).includes('halt'));
    fleet.heard(THIRD, said(COUNT, [9], [[0, 4]]), 5_200);
    assert.ok(kinds(fleet).includes('halt'));
  });

  it('holds on to what comes slowly where nobody else has it or takes it', () => {
    const fleet = taking();
    keepsSaying(fleet, said(COUNT, []), 100, 30_100);
    assert.ok(!kinds(fleet).includes('halt'));
  });

  it('allows a larger chunk its bytes', () => {
    const fleet = new Fleet({ self: SECOND });
    const size = 20 * 1024 * MiB;
    const count = size / (2 * MiB);
    for (const peer of [FIRST, THIRD]) fleet.came(peer);
    for (const now of [0, 1_500, 2_900]) {
      fleet.heard(THIRD, { ...said(count, [], [[0, 4]], now * 500), size }, now);
      fleet.heard(FIRST, { ...said(count, []), size }, now);
    }
    claims(fleet, size, 0);
    assert.equal(grantOf(fleet)?.[0], 4);
  });

  describe('with nobody else who takes the blob', () => {
    /** Takes all of it, and has the first chunk, when a neighbour is found to hold it. */
    function alone(): Fleet {
      const fleet = new Fleet({ self: FIRST });
      fleet.join(DIGEST, COUNT * MiB, { have: bitmapOf(COUNT), marked: bitmapOf(COUNT), searchUntil: 0, first: 0 }, 0);
      assert.deepEqual(fleet.wishes(), [{ kind: 'upstream', digest: DIGEST, from: 0, to: COUNT }]);
      fleet.on(DIGEST, 100, (own) => own.took(0, 'mark', 100));
      assert.ok(fleet.goesOn(DIGEST, 1, 100));
      fleet.on(DIGEST, 110, (own) => own.use(new Uint8Array(32), [SECOND]));
      return fleet;
    }

    it('leaves upstream between two chunks for whoever holds the blob', () => {
      const fleet = alone();
      assert.ok(!fleet.goesOn(DIGEST, 2, 200));
      fleet.on(DIGEST, 210, (own) => own.upstreamEnded(true, 210));
      fleet.tick(1_000);
      const taken = fleet.wishes().map((wish) => wish.kind === 'take' && wish.peer);
      assert.ok(taken.length > 0 && taken.every((peer) => peer === SECOND), String(taken));
    });

    it('stays where upstream gives no parts', () => {
      const fleet = alone();
      fleet.on(DIGEST, 150, (own) => own.noRange());
      assert.ok(fleet.goesOn(DIGEST, 2, 200));
    });

    it('leaves upstream once: false holders may come one after the other', () => {
      const fleet = alone();
      assert.ok(!fleet.goesOn(DIGEST, 2, 200));
      fleet.on(DIGEST, 210, (own) => own.upstreamEnded(true, 210));
      fleet.on(DIGEST, 220, (own) => own.use(undefined, []));
      fleet.tick(2_000);
      assert.ok(kinds(fleet).includes('upstream'));
      fleet.on(DIGEST, 2_100, (own) => own.took(2, 'mark', 2_100));
      fleet.on(DIGEST, 2_110, (own) => own.use(new Uint8Array(32), [THIRD]));
      assert.ok(fleet.goesOn(DIGEST, 3, 2_200));
    });

    /** What is taken from upstream at last, where who holds the blob says nothing but "busy". */
    function takenFromBusy(fleet: Fleet, since: number): { from: number; to: number; now: number } {
      for (let now = since; now < since + 10_000; now += 50) {
        fleet.tick(now);
        for (const wish of fleet.wishes()) {
          if (wish.kind === 'upstream') return { ...wish, now };
          if (wish.kind !== 'take') continue;
          fleet.on(DIGEST, now, (own) => own.answered(wish.peer, wish.index, 'busy', now));
        }
      }
      throw new Error('nothing is taken from upstream');
    }

    function goesOnFrom(fleet: Fleet, { from, to, now }: ReturnType<typeof takenFromBusy>): void {
      assert.ok(to - from > 1);
      fleet.on(DIGEST, now, (own) => own.took(from, 'mark', now));
      assert.ok(fleet.goesOn(DIGEST, from + 1, now));
    }

    it('comes back where the holder gives nothing, and goes on then', () => {
      const fleet = alone();
      assert.ok(!fleet.goesOn(DIGEST, 2, 200));
      fleet.on(DIGEST, 210, (own) => own.upstreamEnded(true, 210));
      goesOnFrom(fleet, takenFromBusy(fleet, 210));
    });

    it('goes on with what it took because the holder it began with gives nothing', () => {
      const fleet = new Fleet({ self: FIRST });
      const searchUntil = 100;
      fleet.join(DIGEST, COUNT * MiB, { have: bitmapOf(COUNT), marked: bitmapOf(COUNT), searchUntil, first: 0 }, 0);
      fleet.on(DIGEST, 50, (own) => own.use(new Uint8Array(32), [SECOND]));
      goesOnFrom(fleet, takenFromBusy(fleet, 60));
    });
  });
});
