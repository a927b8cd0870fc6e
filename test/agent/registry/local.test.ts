import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLocalCaller } from '../../../agent/registry/local.ts';

test('who comes from this machine', () => {
  const cases: [remote: string | undefined, local: string | undefined, is: boolean][] = [
    ['127.0.0.1', '127.0.0.1', true],
    ['127.8.8.8', '127.0.0.1', true],
    ['::1', '::1', true],
    ['::ffff:127.0.0.1', '::ffff:127.0.0.1', true],
    ['192.168.1.5', '192.168.1.5', true],
    ['::ffff:192.168.1.5', '192.168.1.5', true],
    ['FE80::1', 'fe80::1', true],
    ['192.168.1.6', '192.168.1.5', false],
    ['172.17.0.2', '172.17.0.1', false],
    ['127.0.0.1.example.org', '192.168.1.5', false],
    ['::ffff:7f00:1', '192.168.1.5', false],
    [undefined, undefined, false],
  ];
  for (const [remote, local, is] of cases) assert.equal(isLocalCaller(remote, local), is, `${remote} to ${local}`);
});
