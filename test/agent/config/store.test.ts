import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import type { Surroundings } from '../../../agent/config/surroundings.ts';
import { isAgentError } from '../../../agent/errors.ts';

const root: Surroundings = { isRoot: true, home: '/root', cwd: '/', env: {} };

const store = (...set: string[]) => loadConfig({ set }, root).store;

test('the bounds of the store', () => {
  const { maxSize, minFree } = store();
  assert.deepEqual([maxSize, minFree], [null, 2 * 1024 ** 3]);
  const set = store('store.maxSize=1.5GiB', 'store.minFree=0B');
  assert.deepEqual([set.maxSize, set.minFree], [1.5 * 1024 ** 3, 0]);
  assert.equal(store('store.maxSize=auto').maxSize, null);
  assert.equal(store('store.maxSize=33554432').maxSize, 32 * 1024 ** 2);
});

test('what is kept, and what is not', () => {
  assert.deepEqual([store().keep, store().skip], [['*'], []]);
  const set = store('store.keep=[docker.io/*]', 'store.skip=[ghcr.io/owner/*, "*/scratch"]');
  assert.deepEqual([set.keep, set.skip], [['docker.io/*'], ['ghcr.io/owner/*', '*/scratch']]);
});

test('a bound or a pattern that cannot be is told in one line', () => {
  for (const [set, said] of [
    ['store.maxSize=large', 'store.maxSize must be auto or a size in bytes: 20GiB, 500MB or 1000000.'],
    ['store.maxSize=20 GiB', 'store.maxSize must be auto or a size in bytes: 20GiB, 500MB or 1000000.'],
    ['store.maxSize=-1', 'store.maxSize must be auto or a size in bytes: 20GiB, 500MB or 1000000.'],
    ['store.maxSize=0.5', 'store.maxSize must be auto or a size in bytes: 20GiB, 500MB or 1000000.'],
    ['store.maxSize=31MiB', 'store.maxSize must be at least 32MiB.'],
    ['store.maxSize=[1]', 'store.maxSize must be auto or a size in bytes: 20GiB, 500MB or 1000000.'],
    ['store.minFree=auto', 'store.minFree must be a size in bytes: 20GiB, 500MB or 1000000.'],
    [
      'store.skip=[docker.io/alpine]',
      'store.skip[0] must be docker.io/library/alpine: images without an owner lie there.',
    ],
    ['store.keep=docker.io/*', 'store.keep must be a list of patterns such as docker.io/library/*.'],
    [
      'store.keep=[alpine]',
      'store.keep[0] must be a registry and a repository, with * for any characters: docker.io/library/* or ghcr.io/owner/*.',
    ],
    ['store.minFree=10%', 'store.minFree must be a size in bytes: 20GiB, 500MB or 1000000.'],
  ] as const) {
    assert.throws(
      () => store(set),
      (error) => isAgentError(error, 'CONFIG_INVALID') && error.message === `--set: ${said}`,
      set,
    );
  }
});
