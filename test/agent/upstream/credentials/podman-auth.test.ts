import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Helpers } from '../../../../agent/upstream/credentials/helper.ts';
import { podmanAuth } from '../../../../agent/upstream/credentials/podman-auth.ts';
import { credentialOf, unusable } from '../../../../agent/upstream/credentials/source.ts';
import { failsWith } from '../fixture.ts';
import { authOf, homeOf, never, secretOf, user } from './fixture.ts';

const helpers: Helpers = {
  get: async (name, server) => credentialOf({ kind: 'password', username: name, password: server }),
};

test('the longest key that fits wins', async (context) => {
  const home = await homeOf(context);
  await home.file('run/containers/auth.json', {
    auths: {
      'quay.io': { auth: authOf('host', 'pw') },
      'quay.io/group': { auth: authOf('group', 'pw') },
      'quay.io/group/app': { auth: authOf('app', 'pw') },
      'docker.io/library': { auth: authOf('library', 'pw') },
      'https://index.docker.io/v1/': { auth: authOf('hub', 'pw') },
    },
    credHelpers: { 'ecr.example': 'ecr-login' },
  });
  const source = podmanAuth(helpers, { env: home.env, home: home.path, uid: 0 });
  const expected: [server: string, repository: string, username: string][] = [
    ['quay.io', 'group/app', 'app'],
    ['quay.io', 'group/app/part', 'app'],
    ['quay.io', 'group/apple', 'group'],
    ['quay.io', 'groups/app', 'host'],
    ['docker.io', 'library/alpine', 'library'],
    ['registry-1.docker.io', 'other/alpine', 'hub'],
    ['ecr.example', 'any', 'ecr-login'],
  ];
  for (const [server, repository, username] of expected) {
    const secret = await secretOf(source, server, repository);
    assert.equal(secret.kind === 'password' && secret.username, username, `${server}/${repository}`);
  }
  await assert.rejects(secretOf(source, 'quay.io.evil.example'), failsWith('CREDENTIALS_UNUSABLE'));
});

test('where a helper has nothing for the first name, the next is looked for', async (context) => {
  const home = await homeOf(context);
  await home.file('run/containers/auth.json', {
    auths: { 'a.example': { auth: authOf('me', 'pw') } },
    credHelpers: { 'registry.a.example': 'none' },
  });
  const none: Helpers = { get: () => Promise.reject(unusable('the helper has none')) };
  const source = podmanAuth(none, { env: home.env, home: home.path, uid: 0 });
  const find = (...servers: string[]) => source.find({ servers, repository: 'group/app' }, never);
  assert.deepEqual((await find('registry.a.example', 'a.example')).secret, user('me', 'pw'));
  await assert.rejects(find('registry.a.example'), failsWith('CREDENTIALS_UNUSABLE', /the helper has none/));
});

test('$REGISTRY_AUTH_FILE alone, else the session’s file, else that of the home', async (context) => {
  const home = await homeOf(context);
  const entry = (username: string) => ({ auths: { 'quay.io': { auth: authOf(username, 'pw') } } });
  await home.file('.config/containers/auth.json', entry('home'));
  const around = { env: home.env, home: home.path, uid: 0 };
  assert.deepEqual(await secretOf(podmanAuth(helpers, around), 'quay.io'), user('home', 'pw'));
  await home.file('run/containers/auth.json', { auths: {} });
  assert.deepEqual(await secretOf(podmanAuth(helpers, around), 'quay.io'), user('home', 'pw'));
  await home.file('run/containers/auth.json', entry('session'));
  assert.deepEqual(await secretOf(podmanAuth(helpers, around), 'quay.io'), user('session', 'pw'));
  const own = podmanAuth(helpers, { ...around, env: { ...home.env, REGISTRY_AUTH_FILE: join(home.path, 'own.json') } });
  await assert.rejects(secretOf(own, 'quay.io'), failsWith('CREDENTIALS_UNUSABLE', /own\.json/));
  await home.file('own.json', entry('own'));
  assert.deepEqual(await secretOf(own, 'quay.io'), user('own', 'pw'));
});
