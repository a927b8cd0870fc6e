import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beyondLoopback, homeAddress, isLoopback } from '../../agent/address.ts';

test('which listeners others can reach', () => {
  const own = ['127.0.0.1:5055', '127.9.0.1:80', '[::1]:5055', '[::ffff:7f00:1]:1'];
  const open = ['0.0.0.0:5055', '[::]:5055', '172.17.0.1:5055', '192.168.0.7:5055', '[fe80::1]:1', '[::ffff:a00:1]:1'];
  assert.deepEqual(beyondLoopback([...own, ...open]), open);
  assert.deepEqual(beyondLoopback(own), []);
});

test('what is this machine by its very address or name, and what only looks like it', () => {
  for (const host of ['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1', 'localhost', 'LOCALHOST', 'a.localhost']) {
    assert.equal(isLoopback(host), true, host);
  }
  const others = [
    '127.example.org',
    '127.0.0.1.example.org',
    '127.1',
    '128.0.0.1',
    '::2',
    'localhost.lan',
    'mylocalhost',
    '',
  ];
  for (const host of others) assert.equal(isLoopback(host), false, host);
});

test('the agent’s own machine reaches it on loopback where it can: a bridge may be away', () => {
  assert.deepEqual(homeAddress(['172.17.0.1:1', '127.0.0.3:2', '127.0.0.1:3']), { host: '127.0.0.3', port: 2 });
  assert.deepEqual(homeAddress(['172.17.0.1:1', '0.0.0.0:2']), { host: '127.0.0.1', port: 2 });
  assert.deepEqual(homeAddress(['172.17.0.1:1', '192.168.0.2:2']), { host: '172.17.0.1', port: 1 });
});
