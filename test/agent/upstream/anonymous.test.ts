import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  amazonDoor,
  basicDoor,
  type Door,
  ghcrDoor,
  googleDoor,
  hubDoor,
  identityDoor,
} from '../../support/upstream-doors.ts';
import { startUpstreamRegistry } from '../../support/upstream-registry.ts';
import { homeOf } from './credentials/fixture.ts';
import { client, failsWith, PATIENCE } from './fixture.ts';

const PUBLIC = { registry: 'docker.io', name: 'library/app' };
const PRIVATE = { registry: 'docker.io', name: 'group/secret' };

async function visit(context: TestContext, door: Door, mirrors: readonly string[] = []) {
  const registry = await startUpstreamRegistry({ door });
  context.after(() => registry.close());
  const images = [PUBLIC, PRIVATE].map(({ name }, at) => registry.addImage(name, { layers: [1000 + at] }));
  const passwordFile = await (await homeOf(context)).file('password', 'pw');
  const credentials = { kind: 'password-file', username: 'me', passwordFile } as const;
  const { upstream } = client(context, {
    registries: { 'docker.io': { endpoints: [...mirrors, registry.url], credentials } },
  });
  const signal = AbortSignal.timeout(PATIENCE);
  const standing = (repository = PUBLIC, reference: string | null = 'latest') =>
    upstream.anonymous.standing(repository, reference ?? undefined, signal);
  const gets = () => registry.requests.filter(({ kind, method }) => kind === 'manifest' && method === 'GET');
  return { registry, upstream, images, signal, standing, gets };
}

const hub = () => hubDoor({ username: 'me', password: 'pw' });

test('what anybody may have is public, what is given with credentials alone is not; no password goes along', async (context) => {
  const { registry, upstream, standing, signal, gets } = await visit(context, hub());
  // A token that opens everything is there, and not used.
  await upstream.headManifest(PRIVATE, 'latest', [], signal);
  await upstream.headManifest(PUBLIC, 'latest', [], signal);
  registry.forget();
  assert.equal(await standing(PUBLIC), 'public');
  assert.equal(await standing(PRIVATE), 'denied');
  assert.equal(await standing(PUBLIC, 'mistyped'), 'missing');
  const tokens = registry.requests.filter(({ kind }) => kind === 'token');
  assert.ok(tokens.length > 0 && tokens.every(({ authorization }) => authorization === undefined));
  assert.equal(gets().length, 0, 'nothing that counts as a pull');
  // And none of its tokens is shown where credentials are.
  registry.forget();
  const head = await upstream.headManifest(PUBLIC, 'latest', [], signal);
  assert.equal(head.withCredentials, true);
});

const github = () => ghcrDoor({ username: 'me', password: 'ghp_pat' });
const google = () => googleDoor({ username: 'oauth2accesstoken', password: 'ya29.now' });

for (const [name, door] of [
  ['GitHub', github()],
  ['Google', google()],
] as const) {
  test(`${name}: public is told as public`, async (context) => {
    const { standing } = await visit(context, door);
    assert.equal(await standing(PUBLIC), 'public');
    assert.equal(await standing(PUBLIC, null), 'public');
  });
}

const closed: [name: string, door: Door][] = [
  ['GitHub', github()],
  ['Google', google()],
  ['Amazon', amazonDoor(() => 'pw')],
  ['distribution’s Basic', basicDoor({ username: 'me', password: 'pw' })],
  ['an identity token', identityDoor('refresh')],
];
for (const [name, door] of closed) {
  test(`${name}: private is told as private`, async (context) => {
    const { standing } = await visit(context, door);
    assert.equal(await standing(PRIVATE), 'denied');
    assert.equal(await standing(PRIVATE, null), 'denied');
  });
}

test('where HEAD is not to be had, or no manifest is known, the list of tags is asked for; never a manifest', async (context) => {
  const { registry, standing, gets } = await visit(context, hub());
  assert.equal(await standing(PUBLIC, null), 'public');
  registry.misbehave({ kind: 'status', status: 405, on: 'manifest', method: 'HEAD' });
  assert.equal(await standing(PUBLIC), 'public');
  registry.behave();
  registry.misbehave({ kind: 'status', status: 405, on: 'manifest', method: 'HEAD', path: 'library' });
  assert.equal(await standing(PRIVATE), 'denied');
  assert.equal(gets().length, 0);
  const lists = registry.requests.filter(({ kind, status }) => kind === 'tags' && status === 200);
  assert.deepEqual(
    lists.map(({ path }) => path),
    Array(2).fill('/v2/library/app/tags/list?n=1'),
  );
});

test('a 200 that is no manifest, as of a page for logging in, says nothing', async (context) => {
  const { registry, standing } = await visit(context, hub());
  registry.misbehave({ kind: 'status', status: 200, on: 'manifest' });
  registry.misbehave({ kind: 'status', status: 200, on: 'tags' });
  assert.notEqual(await standing(PUBLIC).catch(() => 'not told'), 'public');
});

test('away, limited, failing: that is no answer', async (context) => {
  const { registry, standing } = await visit(context, hub());
  const refuse = (status: number) => registry.misbehave({ kind: 'status', status, on: 'any' });
  refuse(429);
  await assert.rejects(standing(), failsWith('UPSTREAM_RATE_LIMITED'));
  registry.behave();
  refuse(503);
  await assert.rejects(standing(), failsWith('UPSTREAM_FAILED'));
  registry.behave();
  await registry.refuse();
  await assert.rejects(standing(), failsWith('UPSTREAM_UNREACHABLE'));
});

test('a mirror before the registry may give anybody what the registry does not, and is not asked', async (context) => {
  const mirror = await startUpstreamRegistry();
  context.after(() => mirror.close());
  const image = mirror.addImage(PRIVATE.name, { layers: [1000] });
  const { upstream, standing, signal } = await visit(context, hub(), [mirror.url]);
  assert.equal(await standing(PRIVATE), 'denied');
  assert.equal(await upstream.anonymous.has(PRIVATE, 'manifest', image.manifest.digest, signal), false);
  assert.equal(mirror.requests.length, 0);
});

test('a digest is anybody’s only in a repository that is, and has it', async (context) => {
  const { registry, upstream, images, signal, gets } = await visit(context, hub());
  const [open, secret] = images;
  assert.ok(open !== undefined && secret !== undefined);
  const has = (repository: typeof PUBLIC, image: typeof open, kind: 'manifest' | 'blob') => {
    const digest = kind === 'manifest' ? image.manifest.digest : image.config.digest;
    return upstream.anonymous.has(repository, kind, digest, signal);
  };
  for (const kind of ['manifest', 'blob'] as const) {
    assert.equal(await has(PUBLIC, open, kind), true, kind);
    assert.equal(await has(PUBLIC, secret, kind), false, kind);
    assert.equal(await has(PRIVATE, secret, kind), false, kind);
  }
  // Storage that refuses HEAD is asked for the first byte.
  registry.misbehave({ kind: 'redirect' });
  registry.misbehave({ kind: 'status', status: 403, on: 'storage', method: 'HEAD' });
  assert.equal(await has(PUBLIC, open, 'blob'), true);
  await registry.refuse();
  await assert.rejects(has(PUBLIC, open, 'blob'), failsWith('UPSTREAM_UNREACHABLE'));
  assert.equal(gets().length, 0);
});
