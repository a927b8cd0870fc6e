import assert from 'node:assert/strict';
import test from 'node:test';
import { isPrivateAddress, publicLookup, refusedHost } from '../../../agent/upstream/address.ts';

test('addresses that are not on the internet', () => {
  for (const address of [
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.251',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fe80::1',
    'fe80::1%eth0',
    'fd00::1',
    'ff02::fb',
    'no address',
    '',
  ]) {
    assert.equal(isPrivateAddress(address), true, address);
  }
});

test('addresses that are', () => {
  for (const address of [
    '1.1.1.1',
    '172.15.255.255',
    '172.32.0.0',
    '192.169.0.1',
    '11.0.0.1',
    '2606:4700::1111',
    '64:ff9b::101:101',
    '::ffff:1.1.1.1',
  ]) {
    assert.equal(isPrivateAddress(address), false, address);
  }
});

test('a host that is a private address is refused, a name is left to the look-up', () => {
  assert.equal(refusedHost('169.254.169.254')?.code, 'ADDRESS_PRIVATE');
  assert.equal(refusedHost('::1')?.code, 'ADDRESS_PRIVATE');
  assert.equal(refusedHost('1.1.1.1'), undefined);
  assert.equal(refusedHost('localhost'), undefined);
});

test('the look-up refuses a name at a private address', async () => {
  for (const all of [true, false]) {
    const error = await new Promise((resolve) => publicLookup('localhost', { all }, resolve));
    assert.equal((error as { code?: string } | null)?.code, 'ADDRESS_PRIVATE');
  }
});
