import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import type { CredentialSpec } from '../../../agent/upstream/credentials/source.ts';
import {
  amazonDoor,
  basicDoor,
  type Door,
  ghcrDoor,
  googleDoor,
  hubDoor,
  identityDoor,
} from '../../support/upstream-doors.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../../support/upstream-registry.ts';
import { authOf, homeOf } from './credentials/fixture.ts';
import { client, failsWith, PATIENCE, readAll } from './fixture.ts';

const PRIVATE = { registry: 'docker.io', name: 'group/app' };
const PUBLIC = { registry: 'docker.io', name: 'library/app' };

/** A registry behind a door, and a client with a home of its own. */
async function visit(
  context: TestContext,
  door: Door,
  { credentials = { kind: 'docker-config' } as CredentialSpec | null } = {},
) {
  const registry = await startUpstreamRegistry({ door });
  context.after(() => registry.close());
  for (const { name } of [PRIVATE, PUBLIC]) registry.addImage(name, { layers: [1000] });
  const home = await homeOf(context);
  const registries = { 'docker.io': { endpoints: [registry.url], credentials } };
  const around = { env: home.env, home: home.path, uid: 0 };
  const { upstream } = client(context, { registries, around });
  const login = (entry: Record<string, string>) =>
    home.file('.docker/config.json', { auths: { [registry.host]: entry } });
  const signal = AbortSignal.timeout(PATIENCE);
  const head = (repository = PRIVATE) => upstream.headManifest(repository, 'latest', [], signal);
  const asked = (kind: string) => registry.requests.filter((request) => request.kind === kind);
  return { registry, home, upstream, login, signal, head, asked };
}

/** A service account's, as Google writes it: several lines, quotes and colons. */
const KEY = JSON.stringify({ type: 'service_account', private_key: '-----BEGIN PRIVATE KEY-----\nMII=\n' }, null, 2);

const shapes: [name: string, door: Door, entry: Record<string, string>, wrong: Record<string, string>][] = [
  [
    'Docker Hub',
    hubDoor({ username: 'me', password: 'pw' }),
    { auth: authOf('me', 'pw') },
    { auth: authOf('me', 'no') },
  ],
  [
    'GHCR',
    ghcrDoor({ username: 'me', password: 'ghp_pat' }),
    { auth: authOf('me', 'ghp_pat') },
    { auth: authOf('me', 'ghp_no') },
  ],
  [
    'Google, an access token',
    googleDoor({ username: 'oauth2accesstoken', password: 'ya29.now' }),
    { auth: authOf('oauth2accesstoken', 'ya29.now') },
    { auth: authOf('oauth2accesstoken', 'ya29.old') },
  ],
  [
    'Google, a key',
    googleDoor({ username: '_json_key', password: KEY }),
    { auth: authOf('_json_key', KEY) },
    { auth: authOf('_json_key', '{}') },
  ],
  [
    'Google, a key in base64',
    googleDoor({ username: '_json_key_base64', password: btoa(KEY) }),
    { auth: authOf('_json_key_base64', btoa(KEY)) },
    { auth: authOf('_json_key_base64', KEY) },
  ],
  ['Amazon', amazonDoor(() => 'pw'), { auth: authOf('AWS', 'pw') }, { auth: authOf('AWS', 'no') }],
  [
    'distribution’s Basic',
    basicDoor({ username: 'me', password: 'pw' }),
    { auth: authOf('me', 'pw') },
    { auth: authOf('me', 'no') },
  ],
  ['an identity token', identityDoor('refresh'), { identitytoken: 'refresh' }, { identitytoken: 'old' }],
];

for (const [name, door, entry, wrong] of shapes) {
  test(`${name}: a private image with the right credentials, and it is told that they were used`, async (context) => {
    const { registry, upstream, login, signal, head } = await visit(context, door);
    await login(entry);
    assert.equal((await head()).withCredentials, true);
    assert.equal((await upstream.getManifest(PRIVATE, 'latest', [], signal)).withCredentials, true);
    const { digest, size } = registry.addBlob(PRIVATE.name, Buffer.from('a private layer'));
    assert.deepEqual(await upstream.headBlob(PRIVATE, digest, signal), { size });
    registry.misbehave({ kind: 'redirect' });
    const blob = await upstream.getBlob(PRIVATE, digest, 0, signal);
    assert.equal((await readAll(blob.body)).toString(), 'a private layer');
    assert.equal(blob.withCredentials, true);
    // Storage is another origin: it must not see who asks.
    const atStorage = registry.requests.filter(({ kind }) => kind === 'storage');
    assert.deepEqual(
      atStorage.map(({ authorization }) => authorization),
      [undefined],
    );
  });

  test(`${name}: wrong credentials are told, and not shown again at once`, async (context) => {
    const { registry, login, head, asked } = await visit(context, door);
    await login(wrong);
    const refusal = failsWith('UPSTREAM_DENIED', /refuse[sd] .*the credentials configured for docker\.io/);
    await assert.rejects(head(), refusal);
    const shown = () => registry.requests.filter(({ kind, authorization }) => kind === 'token' || authorization).length;
    const before = shown();
    if (name !== 'Amazon') {
      for (let again = 0; again < 3; again++) await assert.rejects(head(), refusal);
      assert.equal(shown(), before, 'the wrong credentials were shown once');
    }
    await login(entry);
    await head();
    assert.ok(
      asked('manifest').some(({ status }) => status === 200),
      'changed ones are tried at once',
    );
  });
}

for (const [name, door] of [
  ['GHCR', ghcrDoor({ username: 'me', password: 'ghp_pat' })],
  ['Google', googleDoor({ username: '_json_key', password: KEY })],
] as const) {
  test(`${name}: what is public comes by an anonymous token, what is private is refused by the token server`, async (context) => {
    const { head, asked } = await visit(context, door, { credentials: null });
    assert.equal((await head(PUBLIC)).withCredentials, false);
    await assert.rejects(head(), failsWith('UPSTREAM_DENIED', /gives no anonymous token for docker\.io\/group\/app/));
    assert.deepEqual(
      asked('token').map(({ status, authorization }) => [status, authorization]),
      [200, 401].map((status) => [status, undefined]),
    );
  });
}

test('what the registry gives to anybody comes without credentials, and is told so', async (context) => {
  const { upstream, head, signal, registry } = await visit(context, hubDoor({ username: 'me', password: 'pw' }), {
    credentials: null,
  });
  assert.equal((await head(PUBLIC)).withCredentials, false);
  const { digest } = registry.addBlob(PUBLIC.name, Buffer.from('x'));
  const blob = await upstream.getBlob(PUBLIC, digest, 0, signal);
  await readAll(blob.body);
  assert.equal(blob.withCredentials, false);
  assert.equal(upstream.mayBePrivate(PUBLIC), false);
  await assert.rejects(head(), failsWith('UPSTREAM_DENIED', /to anonymous clients$/));
});

test('credentials that cannot be read: what is public still comes, what is private says why not', async (context) => {
  const { home, head, upstream } = await visit(context, hubDoor({ username: 'me', password: 'pw' }));
  assert.equal((await head(PUBLIC)).withCredentials, false);
  assert.equal(upstream.mayBePrivate(PUBLIC), true);
  const why = failsWith(
    'UPSTREAM_DENIED',
    /anonymous clients; the configured credentials cannot be used: .*config\.json does not exist/,
  );
  await assert.rejects(head(), why);
  await home.file('.docker/config.json', '{');
  await assert.rejects(head(), failsWith('UPSTREAM_DENIED', /config\.json is not JSON/));
});

test('a login after the fact is seen by the next pull', async (context) => {
  const { login, head } = await visit(context, hubDoor({ username: 'me', password: 'pw' }));
  await assert.rejects(head());
  await login({ auth: authOf('me', 'pw') });
  await head();
});

test('a password from a file; a new one when the old has ended', async (context) => {
  let valid = 'one';
  const home = await homeOf(context);
  const passwordFile = await home.file('password', 'one\n');
  const credentials = { kind: 'password-file', username: 'AWS', passwordFile } as const;
  const { head, asked } = await visit(
    context,
    amazonDoor(() => valid),
    { credentials },
  );
  await head();
  await head();
  assert.deepEqual(
    asked('manifest').map(({ status }) => status),
    [401, 200, 200],
    'asked for Basic once',
  );
  valid = 'two';
  await assert.rejects(head(), failsWith('UPSTREAM_DENIED'));
  await home.file('password', 'two\n');
  await head();
});

test('a helper that has a new answer is asked for it when the old one is refused', async (context) => {
  const { home, head } = await visit(context, hubDoor({ username: 'me', password: 'two' }), {
    credentials: { kind: 'docker-config' },
  });
  await home.file('.docker/config.json', { credsStore: 'some' });
  await home.helper('some', `echo '{"Username":"me","Secret":"one"}'`);
  await assert.rejects(head(), failsWith('UPSTREAM_DENIED', /refused the credentials/));
  await home.helper('some', `echo '{"Username":"me","Secret":"two"}'`);
  // The helper is left alone for a while too: the refusal stands until then.
  await assert.rejects(head(), failsWith('UPSTREAM_DENIED', /again in \d+ s unless they change/));
});

test('Docker Hub’s password goes to no mirror of it', async (context) => {
  const { home, registry, head } = await visit(context, basicDoor({ username: 'me', password: 'pw' }));
  await home.file('.docker/config.json', {
    auths: { 'https://index.docker.io/v1/': { auth: authOf('me', 'pw') }, 'docker.io': { auth: authOf('me', 'pw') } },
  });
  await assert.rejects(head(), failsWith('UPSTREAM_DENIED', /has no credentials for 127\.0\.0\.1/));
  assert.ok(registry.requests.every(({ authorization }) => authorization === undefined));
});

test('a realm elsewhere gets no credentials', async (context) => {
  const seen: (string | undefined)[] = [];
  const foreign = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.end('{"token":"stolen"}');
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.2', resolve));
  context.after(() => foreign.close());
  const { port } = foreign.address() as AddressInfo;
  const registry: UpstreamRegistry = await startUpstreamRegistry({
    auth: 'bearer',
    realm: `http://127.0.0.2:${port}/token`,
  });
  context.after(() => registry.close());
  const home = await homeOf(context);
  await home.file('.docker/config.json', { auths: { [registry.host]: { auth: authOf('me', 'pw') } } });
  const registries = { 'docker.io': { endpoints: [registry.url], credentials: { kind: 'docker-config' } as const } };
  const { upstream } = client(context, { registries, around: { env: {}, home: home.path, uid: 0 } });
  const signal = AbortSignal.timeout(PATIENCE);
  await assert.rejects(
    upstream.headManifest(PRIVATE, 'latest', [], signal),
    failsWith('UPSTREAM_FAILED', /another domain/),
  );
  assert.deepEqual(seen, []);
});

test('credentials of one registry are shown to no other', async (context) => {
  const { login, upstream, signal, registry } = await visit(context, basicDoor({ username: 'me', password: 'pw' }));
  await login({ auth: authOf('me', 'pw') });
  const other = { registry: registry.host, name: PRIVATE.name };
  await assert.rejects(upstream.headManifest(other, 'latest', [], signal));
  assert.ok(registry.requests.every(({ authorization }) => authorization === undefined));
});
