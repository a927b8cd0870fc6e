import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import type { Surroundings } from '../../../agent/config/surroundings.ts';
import { AgentError } from '../../../agent/errors.ts';

const around: Surroundings = { isRoot: false, home: '/home/user', cwd: '/work-dir', env: {} };

function refusalOf(...set: string[]): string {
  try {
    loadConfig({ set }, around);
  } catch (error) {
    assert.ok(error instanceof AgentError && error.code === 'CONFIG_INVALID');
    return error.message;
  }
  assert.fail(`accepted: ${set}`);
}

test('places of others, with what peers may have of them', () => {
  const set = [
    'store.also=[{containerd: /var/lib/containerd}, {oci: ~/images, share: all}, {oci: /srv/a/../b, share: public}]',
  ];
  assert.deepEqual(loadConfig({ set }, around).store.also, [
    { kind: 'containerd', path: '/var/lib/containerd', share: 'public' },
    { kind: 'oci', path: '/home/user/images', share: 'all' },
    { kind: 'oci', path: '/srv/b', share: 'public' },
  ]);
});

test('a place is the same with a slash behind it', () => {
  const again = 'store.also=[{oci: ~/images}, {containerd: ~/images/}]';
  assert.match(refusalOf(again), /store\.also\[1\] names a directory that stands there already/);
  assert.match(
    refusalOf('store.path=~/store', 'store.also=[{oci: ~/store/}]'),
    /store\.also\[0\] is store\.path itself/,
  );
});

test('what is wrong with a place is said', () => {
  const forms = /store\.also\[0\] must be \{containerd: PATH\} or \{oci: DIRECTORY\}/;
  for (const entry of ['/var/lib/containerd', 'null', '{}', '{oci: /a, containerd: /b}']) {
    assert.match(refusalOf(`store.also=[${entry}]`), forms);
  }
  assert.match(refusalOf('store.also=[{docker: /var/lib/docker}]'), /docker is unknown/);
  assert.match(refusalOf('store.also={oci: /a}'), /store\.also must be a list/);
  assert.match(refusalOf('store.also=[{oci: images}]'), /must name oci’s directory by an absolute path/);
  assert.match(refusalOf('store.also=[{containerd: 5}]'), /must name containerd’s directory by an absolute path/);
  assert.match(refusalOf('store.also=[{oci: /a, share: none}]'), /must have share: public or all/);
  assert.match(
    refusalOf('store.also=[{oci: /a}, {containerd: /a/}]'),
    /store\.also\[1\] names a directory that stands there already/,
  );
  assert.match(refusalOf('store.path=/a', 'store.also=[{oci: /a}]'), /store\.also\[0\] is store\.path itself/);
});
