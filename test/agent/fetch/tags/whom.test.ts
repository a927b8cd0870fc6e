import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { whomToAsk } from '../../../../agent/fetch/tags/whom.ts';

const peers = fc.uniqueArray(
  fc.integer({ min: 0, max: 99 }).map((number) => `peer ${number}`),
  { maxLength: 100 },
);

test('only who would be believed is asked, each once, those who are named first, and not very many', () => {
  fc.assert(
    fc.property(
      peers,
      peers,
      fc.boolean(),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999 })),
      (neighbours, trust, isTrusted, chance) => {
        const asked = whomToAsk({ isTrusted, neighbours }, { trust }, () => chance.next().value ?? 0);
        const may = neighbours.filter((peer) => isTrusted || trust.includes(peer));
        assert.equal(new Set(asked).size, asked.length);
        assert.equal(asked.length, Math.min(32, may.length));
        assert.ok(asked.every((peer) => may.includes(peer)));
        const named = asked.map((peer) => trust.includes(peer));
        assert.deepEqual(
          named,
          named.toSorted((one, two) => Number(two) - Number(one)),
        );
      },
    ),
  );
});

test('with more than are asked, chance decides', () => {
  const neighbours = Array.from({ length: 100 }, (_, at) => `peer ${at}`);
  const swarm = { isTrusted: true, neighbours };
  const ever = new Set(Array.from({ length: 200 }, () => whomToAsk(swarm, {}, Math.random)).flat());
  assert.equal(ever.size, 100);
});
