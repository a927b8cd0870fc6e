import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Candidate, chooseSource, type Facts } from '../../../agent/fetch/choice.ts';

const candidate = (peer: string, over: Partial<Candidate> = {}): Candidate => ({
  peer,
  address: `10.0.0.${peer}`,
  root: 'aa',
  usableFrom: 0,
  ...over,
});

const facts = (over: Partial<Facts> = {}): Facts => ({
  now: 0,
  candidates: [],
  lookup: { done: false, deadline: 100, patience: 1000 },
  upstreamUsable: true,
  ...over,
});

test('a holder comes before upstream', () => {
  assert.deepEqual(chooseSource(facts({ candidates: [candidate('1')] })), { kind: 'peer', peer: '1' });
});

test('upstream starts at once when the look-up has ended with nobody', () => {
  const lookup = { done: true, deadline: 100, patience: 1000 };
  assert.deepEqual(chooseSource(facts({ lookup })), { kind: 'upstream' });
});

test('a look-up holds a pull until its deadline and no longer', () => {
  assert.deepEqual(chooseSource(facts({ now: 99 })), { kind: 'wait', until: 100 });
  assert.deepEqual(chooseSource(facts({ now: 100 })), { kind: 'upstream' });
});

test('a map that two addresses claim comes before the one that answered first', () => {
  const candidates = [candidate('1', { root: 'bb' }), candidate('2'), candidate('3')];
  assert.deepEqual(chooseSource(facts({ candidates })), { kind: 'peer', peer: '2' });
});

test('three identities at one address do not outvote two addresses', () => {
  const liar = { root: 'bb', address: '10.0.0.9' };
  const candidates = [candidate('7', liar), candidate('8', liar), candidate('9', liar), candidate('1'), candidate('2')];
  assert.deepEqual(chooseSource(facts({ candidates })), { kind: 'peer', peer: '1' });
});

test('with upstream gone, a busy holder is waited for', () => {
  const candidates = [candidate('1', { usableFrom: 500 })];
  assert.deepEqual(chooseSource(facts({ now: 200, candidates, upstreamUsable: false })), { kind: 'wait', until: 500 });
});

test('with upstream gone, late answers are waited for, with an end', () => {
  assert.deepEqual(chooseSource(facts({ now: 200, upstreamUsable: false })), { kind: 'wait', until: 1000 });
  assert.deepEqual(chooseSource(facts({ now: 1000, upstreamUsable: false })), { kind: 'fail' });
});

test('whatever the facts, a wait ends in the future and nobody usable is passed over', () => {
  const time = fc.integer({ min: 0, max: 2000 });
  const anyFacts = fc.record({
    now: time,
    candidates: fc.array(
      fc.record({
        peer: fc.constantFrom('1', '2', '3', '4'),
        address: fc.constantFrom('a', 'b'),
        root: fc.constantFrom('x', 'y'),
        usableFrom: fc.oneof(time, fc.constant(Number.POSITIVE_INFINITY)),
      }),
      { maxLength: 6 },
    ),
    lookup: fc.record({ done: fc.boolean(), deadline: time, patience: time }),
    upstreamUsable: fc.boolean(),
  });
  fc.assert(
    fc.property(anyFacts, (given) => {
      const choice = chooseSource(given);
      const usable: string[] = given.candidates.filter((c) => c.usableFrom <= given.now).map((c) => c.peer);
      if (choice.kind === 'peer') assert.ok(usable.includes(choice.peer));
      else assert.equal(usable.length, 0);
      if (choice.kind === 'wait') assert.ok(choice.until > given.now && choice.until < Number.POSITIVE_INFINITY);
      if (choice.kind === 'fail') assert.equal(given.upstreamUsable, false);
      if (given.upstreamUsable && given.now >= given.lookup.deadline) assert.notEqual(choice.kind, 'wait');
    }),
  );
});
