import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemOf } from '../../../agent/registry/problem.ts';

const messageOf = (error: unknown) => JSON.parse(problemOf(error).body.toString()).errors[0].message;

test('a full disk is told as one; of what was not foreseen nothing leaves the process', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write /secret/path'), { code: 'ENOSPC' });
  assert.equal(messageOf(full), 'The agent failed: its disk is full.');
  assert.equal(problemOf(full).status, 500);
  assert.equal(problemOf(full).unexpected, true);
  for (const error of [new Error('secret'), Object.assign(new Error('secret'), { code: 'constructor' }), 'secret']) {
    assert.equal(messageOf(error), 'The agent failed; its log says more.');
  }
});
