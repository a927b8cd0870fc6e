import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { mixed, seedOf } from '../../../../agent/fetch/rules/mixed.ts';

describe('mixed', () => {
  it('is a number below 2³², the same for the same two', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        const number = mixed(a, b);
        assert.ok(Number.isInteger(number) && number >= 0 && number < 2 ** 32);
        assert.equal(mixed(a, b), number);
      }),
    );
  });

  it('differs from agent to agent', () => {
    const seeds = Array.from({ length: 1_000 }, (_, at) => seedOf(`peer-${at}`));
    assert.equal(new Set(seeds).size, 1_000);
    assert.equal(new Set(seeds.map((seed) => mixed(7, seed))).size, 1_000);
  });
});
