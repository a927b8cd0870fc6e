import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { toDigest } from '../../protocol/digest.ts';
import { compareRanks, rank, rendezvousOrder } from '../../protocol/rendezvous.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => toDigest('sha256', hash));
const peers = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 30 });

test('a rank is the SHA-256 of digest, NUL and peer id', () => {
  fc.assert(
    fc.property(digest, fc.string({ unit: 'grapheme' }), (blob, peer) => {
      const expected = createHash('sha256').update(blob).update(Uint8Array.of(0)).update(peer).digest();
      assert.deepEqual(Buffer.from(rank(blob, peer)), expected);
    }),
  );
});

test('ranks compare as unsigned numbers, the first byte the heaviest', () => {
  const one = new Uint8Array(32);
  const other = new Uint8Array(32);
  one[0] = 0x80;
  other.fill(0xff, 1);
  other[0] = 0x7f;
  assert.ok(compareRanks(one, other) > 0);
  assert.ok(compareRanks(other, one) < 0);
  assert.equal(compareRanks(one, one), 0);
});

test('the order is the same whatever order the peers are known in, and falls', () => {
  fc.assert(
    fc.property(digest, peers, (blob, known) => {
      const order = rendezvousOrder(blob, known);
      assert.deepEqual(rendezvousOrder(blob, [...known].reverse()), order);
      assert.deepEqual([...order].sort(), [...known].sort());
      for (const [at, peer] of order.slice(1).entries()) {
        assert.ok(compareRanks(rank(blob, order[at] as string), rank(blob, peer)) > 0);
      }
    }),
  );
});

test('who goes leaves the order of the others as it was', () => {
  fc.assert(
    fc.property(digest, peers, fc.nat(), (blob, known, at) => {
      const gone = known[at % known.length];
      const rest = known.filter((peer) => peer !== gone);
      assert.deepEqual(
        rendezvousOrder(blob, rest),
        rendezvousOrder(blob, known).filter((peer) => peer !== gone),
      );
    }),
  );
});

test('blobs are spread over the peers', () => {
  const fleet = Array.from({ length: 8 }, (_, n) => `peer-${n}`);
  const led = new Map<string | undefined, number>();
  for (let n = 0; n < 800; n++) {
    const [first] = rendezvousOrder(toDigest('sha256', createHash('sha256').update(String(n)).digest()), fleet);
    led.set(first, (led.get(first) ?? 0) + 1);
  }
  for (const peer of fleet) assert.ok(Math.abs((led.get(peer) ?? 0) - 100) < 50, `${peer} leads ${led.get(peer)}`);
});
