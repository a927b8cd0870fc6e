import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import fc from 'fast-check';
import { announced, hostOf, loopbackSource } from '../../../agent/swarm/address.ts';
import { createAdmission } from '../../../agent/swarm/chunks/admission.ts';
import { cidOf } from '../../../agent/swarm/dht.ts';
import { generateNetworkKey, mdnsService, noisePrologue, parseNetworkKey } from '../../../agent/swarm/key.ts';
import { queryInterval } from '../../../agent/swarm/mdns-pace.ts';
import { createMissingRecord, MISSING_TTL } from '../../../agent/swarm/missing.ts';
import { redialDelay } from '../../../agent/swarm/redial.ts';
import { toDigest } from '../../../protocol/digest.ts';

test('a redial waits longer each time, within its bounds', () => {
  const init = { min: 1_000, max: 60_000 };
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const wait = redialDelay(failures, init, random);
      assert.ok(wait >= init.min * 0.75 && wait <= init.max);
      assert.ok(redialDelay(failures + 1, init, random) >= wait);
    }),
  );
  assert.equal(redialDelay(1, init, 0), 1_000);
  assert.equal(redialDelay(7, init, 0), 60_000);
});

test('who does not have what it advertised is left alone for a while', () => {
  let now = 1;
  const missing = createMissingRecord(() => now);
  const digest = toDigest('sha256', Buffer.alloc(32));
  missing.note('peer', digest);
  now += MISSING_TTL - 1;
  assert.equal(missing.has('peer', digest), true);
  assert.equal(missing.has('other', digest), false);
  now += 2;
  assert.equal(missing.has('peer', digest), false);
});

const BLOB = toDigest('sha256', Buffer.alloc(32));

test('places are bounded for an address and over all, and come back', () => {
  const admission = createAdmission({ perAddress: 2, overall: 3, chunkTurn: 1_000 });
  let index = 0;
  const enter = (address: string) =>
    admission.enter({ peer: `of ${address}`, address }, { digest: BLOB, index: index++ }, 0);
  const places = ['a', 'a', 'a', 'b', 'b', 'c'].map(enter);
  assert.deepEqual(
    places.map((place) => place !== undefined),
    [true, true, false, true, false, false],
  );
  places[0]?.leave();
  assert.throws(() => places[0]?.leave(), RangeError);
  assert.ok(enter('c'));
  assert.equal(enter('a'), undefined);
});

test('a chunk goes to one peer at a time, other chunks and other blobs meanwhile', () => {
  const admission = createAdmission({ perAddress: 12, overall: 64, chunkTurn: 1_000 });
  const one = { peer: 'one', address: 'a' };
  const other = { peer: 'other', address: 'b' };
  const chunk = { digest: BLOB, index: 3 };
  const first = admission.enter(one, chunk, 0);
  const second = admission.enter(one, chunk, 0);
  assert.ok(first && second, 'who has its turn may ask again');
  assert.equal(admission.enter(other, chunk, 0), undefined);
  assert.ok(admission.enter(other, { digest: BLOB, index: 4 }, 0));
  assert.ok(admission.enter(other, { digest: toDigest('sha256', Buffer.alloc(32, 1)), index: 3 }, 0));
  first.leave();
  assert.equal(admission.enter(other, chunk, 0), undefined);
  second.leave();
  assert.ok(admission.enter(other, chunk, 0));
});

test('who takes its bytes slowly keeps a chunk from others for one turn, and gives back what is its own', () => {
  const admission = createAdmission({ perAddress: 12, overall: 64, chunkTurn: 1_000 });
  const chunk = { digest: BLOB, index: 0 };
  const slow = admission.enter({ peer: 'slow', address: 'a' }, chunk, 0);
  const other = { peer: 'other', address: 'b' };
  assert.equal(admission.enter(other, chunk, 999), undefined);
  assert.ok(admission.enter(other, chunk, 1_000));
  slow?.leave();
  assert.equal(admission.enter({ peer: 'third', address: 'c' }, chunk, 1_001), undefined, 'it is the other’s turn');
});

test('places never leak, whatever comes and goes', () => {
  const asked = fc.record({ peer: fc.nat(4), index: fc.nat(3), at: fc.nat(200), leaves: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 60 }), (steps) => {
      const admission = createAdmission({ perAddress: 4, overall: 6, chunkTurn: 100 });
      const places: { leave(): void }[] = [];
      let now = 0;
      for (const { peer, index, at, leaves } of steps) {
        now += at;
        const place = admission.enter({ peer: `${peer}`, address: `${peer % 2}` }, { digest: BLOB, index }, now);
        if (place !== undefined) places.push(place);
        assert.ok(places.length <= 6);
        if (leaves < places.length) places.splice(leaves, 1)[0]?.leave();
      }
      for (const place of places.splice(0)) place.leave();
      for (let index = 0; index < 6; index++) {
        assert.ok(admission.enter({ peer: 'new', address: `${index % 2}` }, { digest: BLOB, index }, now));
      }
    }),
  );
});

test('a network key is one line; short and malformed ones are refused without being shown', () => {
  const text = generateNetworkKey();
  assert.match(text, /^[0-9a-f]{64}\n$/);
  assert.equal(parseNetworkKey(text).length, 32);
  for (const bad of ['', '\n', text.slice(2), `${text.trim()}0`, `${text}${text}`, 'x'.repeat(64), '0'.repeat(2_000)]) {
    assert.throws(
      () => parseNetworkKey(bad),
      (error: Error & { code?: string }) =>
        error.code === 'NETWORK_KEY_INVALID' && !error.message.includes(bad.trim().slice(0, 8) || 'nothing'),
    );
  }
});

test('two keys differ in prologue and service; no key leaves both as they are', () => {
  const [one, two] = [parseNetworkKey(generateNetworkKey()), parseNetworkKey(generateNetworkKey())];
  assert.equal(noisePrologue(undefined).length, 0);
  assert.equal(mdnsService(undefined), '_layerlan._udp.local');
  assert.notDeepEqual(noisePrologue(one), noisePrologue(two));
  assert.match(mdnsService(one), /^_layerlan-[0-9a-f]{16}\._udp\.local$/);
  assert.notEqual(mdnsService(one), mdnsService(two));
});

test('loopback and virtual bridges are not announced, unless loopback is all there is', () => {
  const addresses = ['127.0.0.1', '10.1.2.3', '172.17.0.1'].map((host) => multiaddr(`/ip4/${host}/tcp/4055`));
  assert.deepEqual(announced(addresses, new Set(['172.17.0.1'])).map(hostOf), ['10.1.2.3']);
  assert.deepEqual(announced(addresses.slice(0, 1), new Set()).map(hostOf), ['127.0.0.1']);
  assert.equal(loopbackSource(addresses.slice(0, 1)), '127.0.0.1');
  assert.equal(loopbackSource(addresses), undefined);
  assert.equal(loopbackSource([multiaddr('/ip4/0.0.0.0/tcp/0')]), undefined);
});

test('a blob’s DHT key is its own hash', () => {
  assert.equal(cidOf(toDigest('sha256', Buffer.alloc(32, 1))).multihash.code, 0x12);
  assert.throws(() => cidOf(toDigest('sha512', Buffer.alloc(64, 1))), RangeError);
});

test('questions are rarer the more neighbours there are', () => {
  assert.equal(queryInterval(0), 10_000);
  assert.equal(queryInterval(100), 10_000);
  assert.equal(queryInterval(1_000), 100_000);
});
