import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import type { Surroundings } from '../../../agent/config/surroundings.ts';

const user: Surroundings = { isRoot: false, home: '/home/user', cwd: '/work-dir', env: {} };

function registry(text: string) {
  return loadConfig({ set: [`registries={GHCR.io: ${text}}`] }, user).registries.get('ghcr.io');
}

test('credentials in each of their forms, of a registry at its own name', () => {
  const endpoints = ['https://ghcr.io'];
  for (const none of ['{}', 'null', '{credentials: null}']) {
    assert.deepEqual(registry(none)?.endpoints, endpoints);
    assert.equal(registry(none)?.credentials, null);
  }
  for (const kind of ['docker-config', 'podman-auth'] as const) {
    assert.deepEqual(registry(`{credentials: ${kind}}`)?.endpoints, endpoints);
    assert.deepEqual(registry(`{credentials: ${kind}}`)?.credentials, { kind });
  }
  assert.deepEqual(registry('{credentials: {username: me, passwordFile: ~/secret}}')?.credentials, {
    kind: 'password-file',
    username: 'me',
    passwordFile: '/home/user/secret',
  });
  assert.deepEqual(registry('{credentials: {username: me, passwordEnv: GHCR_TOKEN}}')?.credentials, {
    kind: 'password-env',
    username: 'me',
    passwordEnv: 'GHCR_TOKEN',
  });
  const hub = loadConfig({ set: ['registries={docker.io: {credentials: docker-config}}'] }, user);
  assert.deepEqual(hub.registries.get('docker.io')?.endpoints, ['https://registry-1.docker.io']);
});

test('nobody’s credentials are shown to registries that nobody listed', () => {
  const set = ['registries={"*": {credentials: docker-config}}'];
  assert.throws(() => loadConfig({ set }, user), /credentials is not a key/);
});

test('what they cannot be is told by its key, and never repeated', () => {
  for (const credentials of [
    'hunter2',
    '7',
    '[docker-config]',
    '{username: me}',
    '{username: me, password: hunter2}',
    '{username: me, passwordFile: x, passwordEnv: hunter2}',
    '{username: me, passwordFile: ""}',
    '{username: me, passwordEnv: "hunter2 $"}',
    '{username: "me:hunter2", passwordFile: x}',
    '{username: "", passwordFile: x}',
  ]) {
    assert.throws(
      () => registry(`{credentials: ${credentials}}`),
      (error: Error) => {
        assert.match(error.message, /^--set: registries\["GHCR\.io"\]\.credentials must /);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
      credentials,
    );
  }
});
