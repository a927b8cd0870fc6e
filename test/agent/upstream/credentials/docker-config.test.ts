import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { dockerConfig } from '../../../../agent/upstream/credentials/docker-config.ts';
import type { Helpers } from '../../../../agent/upstream/credentials/helper.ts';
import { credentialOf, unusable } from '../../../../agent/upstream/credentials/source.ts';
import { failsWith } from '../fixture.ts';
import { authOf, homeOf, never, secretOf, user } from './fixture.ts';

/** Helpers that know every server. */
const helpers: Helpers = {
  get: async (name, server) => credentialOf({ kind: 'password', username: name, password: server }),
};

async function withConfig(context: TestContext, config: unknown, env: Record<string, string> = {}) {
  const home = await homeOf(context);
  const file = await home.file('.docker/config.json', config);
  return { home, file, source: dockerConfig(helpers, { env, home: home.path, uid: 0 }) };
}

test('user and password, an identity token, and the keys people write', async (context) => {
  const { source } = await withConfig(context, {
    auths: {
      'ghcr.io': { auth: authOf('me', 'pass:word') },
      'registry.lan:5000': { username: 'plain', password: 'text' },
      'azure.example': { auth: authOf('0000', ''), identitytoken: 'refresh' },
      'https://old.example/v1/': { auth: authOf('old', 'login\0\0') },
      constructor: { auth: authOf('con', 'structor') },
      'shell.example': {},
    },
    psFormat: 'whatever else stands there',
  });
  assert.deepEqual(await secretOf(source, 'ghcr.io'), user('me', 'pass:word'));
  assert.deepEqual(await secretOf(source, 'registry.lan:5000'), user('plain', 'text'));
  assert.deepEqual(await secretOf(source, 'azure.example'), { kind: 'identity-token', token: 'refresh' });
  assert.deepEqual(await secretOf(source, 'old.example'), user('old', 'login'));
  for (const server of ['shell.example', 'toString', 'other.example']) {
    await assert.rejects(
      secretOf(source, server),
      failsWith('CREDENTIALS_UNUSABLE', /config\.json has no credentials for/),
    );
  }
});

test('Docker Hub goes by its old address, whatever it is called', async (context) => {
  const { source } = await withConfig(context, {
    auths: { 'https://index.docker.io/v1/': { auth: authOf('hub', 'pw') } },
  });
  for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
    assert.deepEqual(await secretOf(source, name), user('hub', 'pw'), name);
  }
});

test('a registry’s helper comes before the store, and the store before the file', async (context) => {
  const auths = { 'a.example': { auth: authOf('a', 'file') }, 'https://index.docker.io/v1/': {} };
  const credHelpers = { 'a.example': 'own', 'https://index.docker.io/v1/': 'hub' };
  const both = await withConfig(context, { auths, credHelpers, credsStore: 'all' });
  assert.deepEqual(await secretOf(both.source, 'a.example'), user('own', 'a.example'));
  assert.deepEqual(await secretOf(both.source, 'docker.io'), user('hub', 'https://index.docker.io/v1/'));
  assert.deepEqual(await secretOf(both.source, 'b.example'), user('all', 'b.example'));
  const store = await withConfig(context, { auths, credsStore: 'all' });
  assert.deepEqual(await secretOf(store.source, 'a.example'), user('all', 'a.example'));
  assert.deepEqual(await secretOf(store.source, 'docker.io'), user('all', 'https://index.docker.io/v1/'));
});

test('where a helper has nothing for the first name, the next is looked for', async (context) => {
  const home = await homeOf(context);
  const knowsOne: Helpers = {
    async get(name, server) {
      if (server !== 'a.example') throw unusable(`the credential helper ${name} has no credentials for ${server}`);
      return credentialOf({ kind: 'password', username: name, password: server });
    },
  };
  const source = dockerConfig(knowsOne, { env: {}, home: home.path, uid: 0 });
  const find = (...servers: string[]) => source.find({ servers, repository: 'group/app' }, never);
  for (const config of [
    { credsStore: 'all' },
    { credsStore: 'all', credHelpers: { 'a.example': 'own' } },
    { credHelpers: { 'registry.a.example': 'all' }, auths: { 'a.example': { auth: authOf('own', 'a.example') } } },
  ]) {
    await home.file('.docker/config.json', config);
    const { secret } = await find('registry.a.example', 'a.example');
    assert.equal(secret.kind === 'password' && secret.password, 'a.example');
    await assert.rejects(
      find('registry.a.example', 'b.example'),
      failsWith('CREDENTIALS_UNUSABLE', /the credential helper all has no credentials for registry\.a\.example/),
    );
  }
});

test('$DOCKER_CONFIG names the directory', async (context) => {
  const home = await homeOf(context);
  await home.file('elsewhere/config.json', { auths: { 'ghcr.io': { auth: authOf('else', 'where') } } });
  const env = { DOCKER_CONFIG: join(home.path, 'elsewhere') };
  const source = dockerConfig(helpers, { env, home: '/nowhere', uid: 0 });
  assert.deepEqual(await secretOf(source, 'ghcr.io'), user('else', 'where'));
});

test('a new login is seen by the next question', async (context) => {
  const { home, source } = await withConfig(context, { auths: { 'ghcr.io': { auth: authOf('me', 'one') } } });
  assert.deepEqual(await secretOf(source, 'ghcr.io'), user('me', 'one'));
  await home.file('.docker/config.json', { auths: { 'ghcr.io': { auth: authOf('me', 'two') } } });
  assert.deepEqual(await secretOf(source, 'ghcr.io'), user('me', 'two'));
});

test('what cannot be used is told by the file’s name, never by what is in it', async (context) => {
  const broken: [content: unknown, message: RegExp][] = [
    ['{"auths": {"ghcr.io": {"auth": "hunter2', /is not JSON/],
    [{ auths: 'hunter2' }, /does not have the form/],
    [['hunter2'], /does not have the form/],
    [{ auths: { 'ghcr.io': { auth: Buffer.from('hunter2').toString('base64') } } }, /is not base64 of user:password/],
    [{ auths: { 'ghcr.io': { auth: 7 } } }, /has no credentials for ghcr\.io/],
    ['x'.repeat(1024 * 1024 + 1), /is larger than/],
  ];
  for (const [content, message] of broken) {
    const { file, source } = await withConfig(context, content);
    await assert.rejects(secretOf(source, 'ghcr.io'), (error: Error) => {
      assert.ok(failsWith('CREDENTIALS_UNUSABLE', message)(error), error.message);
      assert.ok(error.message.includes(file));
      assert.equal(error.cause, undefined);
      assert.doesNotMatch(`${error.stack}`, /hunter2|aHVudGVyM/);
      return true;
    });
  }
  const none = dockerConfig(helpers, { env: {}, home: '/nowhere', uid: 0 });
  await assert.rejects(
    secretOf(none, 'ghcr.io'),
    failsWith('CREDENTIALS_UNUSABLE', /\/nowhere\/\.docker\/config\.json does not exist/),
  );
});
