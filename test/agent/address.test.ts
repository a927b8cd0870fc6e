import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beyondLoopback } from '../../agent/address.ts';

test('which listeners others can reach', () => {
  const own = ['127.0.0.1:5055', '127.9.0.1:80', '[::1]:5055'];
  const open = ['0.0.0.0:5055', '[::]:5055', '172.17.0.1:5055', '192.168.0.7:5055', '[fe80::1]:1', '[::ffff:7f00:1]:1'];
  assert.deepEqual(beyondLoopback([...own, ...open]), open);
  assert.deepEqual(beyondLoopback(own), []);
});
