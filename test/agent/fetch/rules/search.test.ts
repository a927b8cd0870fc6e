import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAP_PATIENCE, Search } from '../../../../agent/fetch/rules/search.ts';

test('upstream is left alone while holders are looked for, and then while a map is asked for', () => {
  const search = new Search(100);
  assert.equal(search.until, 100);
  assert.ok(search.asks(50));
  search.ended();
  assert.equal(search.until, 50 + MAP_PATIENCE);
  search.answered(60);
  assert.ok(search.until < 60);
});

test('a look-up that goes on is not cut short by a map that came', () => {
  const search = new Search(1_000);
  search.asks(10);
  search.answered(20);
  assert.equal(search.until, 1_000);
});

test('however many are asked one after the other, they hold upstream back no longer than one may', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ wait: fc.nat(4_000), leaves: fc.boolean() }), { maxLength: 64 }), (holders) => {
      const search = new Search(0);
      search.ended();
      let now = 0;
      let heldBack = 0;
      let left = 0;
      for (const { wait, leaves } of holders) {
        if (leaves && search.leaves(now)) left++;
        else if (!leaves) search.asks(now);
        heldBack += Math.max(0, Math.min(search.until, now + wait) - now);
        now += wait;
        if (wait % 2 === 0) search.answered(now);
      }
      assert.ok(heldBack <= MAP_PATIENCE, `${heldBack} ms`);
      assert.ok(left <= 3, `${left} leases left`);
    }),
  );
});

test('a late holder has what others left, and what held nothing back costs nothing', () => {
  const search = new Search(0);
  search.asks(0);
  search.answered(500);
  search.answered(900_000);
  assert.ok(search.asks(900_000));
  assert.equal(search.until, 900_000 + MAP_PATIENCE - 500);
});
