import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressText, parseAddress, reachable } from '../../../agent/address.ts';
import { parseDuration } from '../../../agent/config/duration.ts';
import { nearest } from '../../../agent/config/nearest.ts';

test('durations', () => {
  const cases: [text: string, milliseconds: number | undefined][] = [
    ['100ms', 100],
    ['5s', 5_000],
    ['1.5m', 90_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
    ['5', undefined],
    ['', undefined],
    ['s', undefined],
    ['-5s', undefined],
    ['5 s', undefined],
    ['5S', undefined],
    ['5s\n', undefined],
    ['1e3s', undefined],
    ['5sec', undefined],
  ];
  for (const [text, milliseconds] of cases) assert.equal(parseDuration(text), milliseconds, text);
});

test('addresses are read and written the same', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('localhost', 'mirror.lan', 'a-1.b'));
  fc.assert(
    fc.property(host, fc.nat(65_535), (name, port) => {
      assert.deepEqual(parseAddress(addressText({ host: name, port })), { host: name, port });
    }),
  );
});

test('a wildcard is reached on loopback', () => {
  assert.equal(addressText(reachable({ host: '0.0.0.0', port: 1 })), '127.0.0.1:1');
  assert.equal(addressText(reachable({ host: '::', port: 1 })), '[::1]:1');
  assert.equal(addressText(reachable({ host: '10.0.0.1', port: 1 })), '10.0.0.1:1');
});

test('the nearest key, where one is near', () => {
  const known = ['listen', 'mdns', 'static', 'networkKeyFile', 'lookupTimeout', 'leaseTimeout', 'stallTimeout'];
  assert.equal(nearest('lisen', known), 'listen');
  assert.equal(nearest('networkkeyfile', known), 'networkKeyFile');
  assert.equal(nearest('lookup-timeout', known), 'lookupTimeout');
  assert.equal(nearest('colour', known), undefined);
  assert.equal(nearest('x'.repeat(10_000), known), undefined);
  assert.equal(nearest('x', []), undefined);
});
