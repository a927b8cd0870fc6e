import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byLastUse, type Candidate, chooseVictims, roomOf, slackOf } from '../../../agent/store/eviction.ts';
import { digestOfBytes } from './compliance.ts';

const sum = (candidates: readonly Candidate[]) => candidates.reduce((total, { room }) => total + room, 0);

/** Candidates in the order of their last use, some of which may not go. */
const candidates = fc
  .array(
    fc.record({
      kind: fc.constantFrom('blob' as const, 'partial' as const),
      room: fc.nat(40).map((blocks) => blocks * 4096),
      lastUsed: fc.nat(50),
      isKept: fc.nat(3).map((n) => n === 0),
    }),
    { maxLength: 30 },
  )
  .map((list) =>
    list
      .map((each, at) => ({ ...each, digest: digestOfBytes(Buffer.from(`${at}`)) }))
      .sort((a, b) => a.lastUsed - b.lastUsed),
  );

test('enough goes, the one used longest ago first, nothing that is kept, and no more than is needed and the slack', () => {
  fc.assert(
    fc.property(candidates, fc.nat(800_000), fc.nat(400_000), (all, needed, slack) => {
      const kept = new Set(all.filter(({ isKept }) => isKept).map(({ digest }) => digest));
      const free = all.filter(({ digest }) => !kept.has(digest));
      const victims = chooseVictims(all, ({ digest }) => !kept.has(digest), needed, slack);
      assert.deepEqual(victims, free.slice(0, victims.length), 'by last use, without a gap');
      if (needed === 0) return assert.equal(victims.length, 0);
      assert.ok(sum(victims) >= needed || victims.length === free.length, 'enough, where there is enough');
      const enough = free.findIndex((_, at) => sum(free.slice(0, at + 1)) >= needed) + 1;
      if (enough > 0) assert.ok(sum(victims) <= Math.max(needed + slack, sum(free.slice(0, enough))), 'not too much');
    }),
    { numRuns: 500 },
  );
});

test('a model of a store at its bound: whatever comes, is used, pinned and left, the bound holds', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ act: fc.constant('come' as const), which: fc.nat(40), size: fc.nat(60_000) }) },
    { weight: 3, arbitrary: fc.record({ act: fc.constant('use' as const), which: fc.nat(40), size: fc.constant(0) }) },
    fc.record({ act: fc.constant('pin' as const), which: fc.nat(40), size: fc.constant(0) }),
    fc.record({ act: fc.constant('unpin' as const), which: fc.nat(40), size: fc.constant(0) }),
  );
  let refused = 0;
  let evicted = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 150 }),
      fc.integer({ min: 100_000, max: 400_000 }),
      (steps, bound) => {
        const held = new Map<number, Candidate>();
        const pinned = new Set<number>();
        for (const [now, { act, which, size }] of steps.entries()) {
          const digest = digestOfBytes(Buffer.from(`${which}`));
          if (act === 'pin') pinned.add(which);
          if (act === 'unpin') pinned.delete(which);
          const known = held.get(which);
          if (act === 'use' && known !== undefined) held.set(which, { ...known, lastUsed: now });
          if (act !== 'come' || known !== undefined) continue;
          const names = new Map([...held].map(([name, candidate]) => [candidate.digest, name]));
          const inOrder = [...held.values()].sort((a, b) => a.lastUsed - b.lastUsed);
          const needed = sum(inOrder) + roomOf(size) - bound;
          const victims = chooseVictims(
            inOrder,
            (each) => !pinned.has(names.get(each.digest)!),
            needed,
            slackOf(bound),
          );
          if (sum(victims) < needed) {
            refused++;
            continue;
          }
          for (const victim of victims) {
            assert.ok(!pinned.has(names.get(victim.digest)!));
            held.delete(names.get(victim.digest)!);
          }
          evicted += victims.length;
          held.set(which, { digest, kind: 'blob', room: roomOf(size), lastUsed: now });
          assert.ok(sum([...held.values()]) <= bound, 'the bound is passed');
        }
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(refused > 0 && evicted > 0, 'the model came to its bound');
});

test('two orders become one, and both are ended where enough was found', () => {
  let ended = 0;
  function* stream(kind: Candidate['kind'], times: readonly number[]): Generator<Candidate> {
    try {
      for (const lastUsed of times)
        yield { digest: digestOfBytes(Buffer.from(`${lastUsed}`)), kind, room: 1, lastUsed };
    } finally {
      ended++;
    }
  }
  const merged = byLastUse(stream('blob', [1, 4, 5]), stream('partial', [2, 3, 9]));
  assert.deepEqual(
    [...merged].map(({ lastUsed }) => lastUsed),
    [1, 2, 3, 4, 5, 9],
  );
  assert.equal(ended, 2);
  const few = chooseVictims(byLastUse(stream('blob', [1, 2, 3, 4]), stream('partial', [5])), () => true, 2, 0);
  assert.deepEqual(
    few.map(({ lastUsed }) => lastUsed),
    [1, 2],
  );
  assert.equal(ended, 4);
});

test('rooms are whole blocks', () => {
  assert.deepEqual([0, 1, 4096, 4097].map(roomOf), [0, 4096, 4096, 8192]);
});
