import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Unsaid } from '../../../../agent/fetch/rules/unsaid.ts';
import { type Bitmap, bitmapOf, setBit } from '../../../../protocol/bitmap.ts';

const COUNT = 20;

function having(...indexes: number[]): Bitmap {
  const have = bitmapOf(COUNT);
  for (const index of indexes) setBit(have, index);
  return have;
}

describe('Unsaid', () => {
  it('believes whoever still has what it brought', () => {
    const unsaid = new Unsaid(COUNT);
    for (let index = 0; index < COUNT; index++) unsaid.brought('a', index);
    for (let times = 0; times < 20; times++) assert.ok(!unsaid.hears('a', having(...Array(COUNT).keys())));
  });

  it('minds nothing that was not brought', () => {
    const unsaid = new Unsaid(COUNT);
    unsaid.brought('a', 3);
    for (let times = 0; times < 20; times++) {
      assert.ok(!unsaid.hears('a', having(3, times)));
      assert.ok(!unsaid.hears('b', having(times)));
    }
  });

  it('believes nobody any more who unsays what it brought for the seventh time', () => {
    const unsaid = new Unsaid(COUNT);
    for (let times = 1; times <= 7; times++) {
      for (const index of [1, 9, 19]) unsaid.brought('a', index);
      assert.equal(unsaid.hears('a', having(1)), times === 7);
      // Once for each time it is said.
      assert.ok(!unsaid.hears('a', having(1)));
    }
    assert.ok(!unsaid.hears('b', having()));
  });

  it('keeps what some thousand agents brought, and no more', () => {
    const unsaid = new Unsaid(COUNT);
    for (let agent = 0; agent < 1_024; agent++) unsaid.brought(`${agent}`, 0);
    for (let times = 1; times <= 9; times++) {
      unsaid.brought('1023', 0);
      unsaid.brought('1024', 0);
      assert.equal(unsaid.hears('1023', having()), times >= 7);
      assert.ok(!unsaid.hears('1024', having()));
    }
  });
});
