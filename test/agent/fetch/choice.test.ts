import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressesClaiming, type Candidate, mostClaimed } from '../../../agent/fetch/choice.ts';

const candidate = (peer: string, over: Partial<Candidate> = {}): Candidate => ({
  peer,
  address: `10.0.0.${peer}`,
  root: 'aa',
  isUsable: true,
  ...over,
});

const chosen = (candidates: Candidate[]) =>
  mostClaimed(
    candidates.filter(({ isUsable }) => isUsable),
    candidates,
  );

test('with nobody there is no map', () => {
  assert.equal(chosen([]), undefined);
  assert.equal(chosen([candidate('1', { isUsable: false })]), undefined);
});

test('a map that two addresses claim comes before the one that answered first', () => {
  assert.equal(chosen([candidate('1', { root: 'bb' }), candidate('2'), candidate('3')]), 'aa');
});

test('who is of no use any more still bears witness', () => {
  const candidates = [candidate('1', { root: 'bb' }), candidate('2'), candidate('3', { isUsable: false })];
  assert.equal(chosen(candidates), 'aa');
});

test('three identities at one address do not outvote two addresses', () => {
  const liar = { root: 'bb', address: '10.0.0.9' };
  const candidates = [candidate('7', liar), candidate('8', liar), candidate('9', liar), candidate('1'), candidate('2')];
  assert.equal(addressesClaiming('bb', candidates), 1);
  assert.equal(chosen(candidates), 'aa');
});

test('whoever claims what, the map is one that somebody usable claims, and none that is usable has more behind it', () => {
  const anyCandidate = fc.record({
    peer: fc.stringMatching(/^[1-9]$/),
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3'),
    root: fc.constantFrom('aa', 'bb', 'cc'),
    isUsable: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(anyCandidate, { maxLength: 8 }), (candidates) => {
      const root = chosen(candidates);
      const usable = candidates.filter(({ isUsable }) => isUsable);
      assert.equal(root === undefined, usable.length === 0);
      for (const other of usable) {
        assert.ok(addressesClaiming(root as string, candidates) >= addressesClaiming(other.root, candidates));
      }
    }),
  );
});
