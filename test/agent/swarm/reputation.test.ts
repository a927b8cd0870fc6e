import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Offence } from '../../../agent/swarm/ports.ts';
import { createReputation, LIE_BAN, SLIP_BAN } from '../../../agent/swarm/reputation.ts';

/** Wide enough apart that each slip counts. ms */
const APART = 11_000;

function virtual() {
  let time = 1_000_000;
  const reputation = createReputation(() => time);
  return {
    reputation,
    pass: (ms: number) => {
      time += ms;
    },
  };
}

test('one lie bans the id and the address, for an hour', () => {
  const { reputation, pass } = virtual();
  assert.equal(reputation.strike('liar', '10.0.0.1', 'lied'), true);
  assert.ok(reputation.isPeerBanned('liar') && reputation.isAddressBanned('10.0.0.1'));
  assert.deepEqual(reputation.banned(), ['liar']);
  pass(LIE_BAN - 1);
  assert.ok(reputation.isPeerBanned('liar') && reputation.isAddressBanned('10.0.0.1'));
  pass(1);
  assert.ok(!reputation.isPeerBanned('liar') && !reputation.isAddressBanned('10.0.0.1'));
  assert.deepEqual(reputation.banned(), []);
  assert.equal(reputation.strikes('liar'), 1);
});

test('slips add up to a short ban of the id alone', () => {
  const { reputation, pass } = virtual();
  let slips = 0;
  while (!reputation.strike('slow', '10.0.0.2', 'stalled')) {
    slips += 1;
    assert.ok(slips < 30, 'never banned');
    pass(APART);
  }
  assert.ok(slips >= 9, `banned after ${slips} slips`);
  assert.equal(reputation.isAddressBanned('10.0.0.2'), false);
  pass(SLIP_BAN);
  assert.equal(reputation.isPeerBanned('slow'), false);
});

test('slips of one moment count once, and slips far apart never ban', () => {
  const { reputation, pass } = virtual();
  for (let at = 0; at < 100; at++) reputation.strike('hiccup', undefined, 'stalled');
  assert.equal(reputation.strikes('hiccup'), 1);
  for (let at = 0; at < 1_000; at++) {
    pass(10 * 60_000);
    assert.equal(reputation.strike('weary', undefined, 'missing'), false);
  }
});

test('four pieces of garbage ban', () => {
  const { reputation } = virtual();
  assert.deepEqual(
    [1, 2, 3, 4].map(() => reputation.strike('noise', undefined, 'garbage')),
    [false, false, false, true],
  );
});

test('what a snapshot holds is there again', () => {
  const { reputation } = virtual();
  reputation.strike('liar', '10.0.0.1', 'lied');
  const other = virtual();
  other.reputation.restore(JSON.parse(JSON.stringify(reputation.snapshot())));
  assert.ok(other.reputation.isPeerBanned('liar') && other.reputation.isAddressBanned('10.0.0.1'));
  other.reputation.strike('liar', '10.0.0.1', 'stalled');
  assert.equal(other.reputation.strikes('liar'), 2);
});

test('however many strangers slip, memory is bounded and a running ban is kept', () => {
  const { reputation } = virtual();
  reputation.strike('liar', '10.0.0.1', 'lied');
  for (let at = 0; at < 10_000; at++) reputation.strike(`id-${at}`, undefined, 'garbage');
  assert.ok(reputation.snapshot().length <= 4_096);
  assert.ok(reputation.isPeerBanned('liar'));
});

test('every ban ends', () => {
  const offences = fc.constantFrom<Offence>('lied', 'missing', 'stalled', 'garbage');
  fc.assert(
    fc.property(fc.array(fc.tuple(offences, fc.nat({ max: 100_000 })), { maxLength: 50 }), (strikes) => {
      const { reputation, pass } = virtual();
      for (const [offence, wait] of strikes) {
        reputation.strike('peer', '10.0.0.1', offence);
        pass(wait);
      }
      pass(LIE_BAN);
      assert.deepEqual(reputation.banned(), []);
      assert.equal(reputation.isAddressBanned('10.0.0.1'), false);
    }),
  );
});
