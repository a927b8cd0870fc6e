import assert from 'node:assert/strict';
import test from 'node:test';
import { failsWith, fixture, REPOSITORY, readAll } from './fixture.ts';

const MIB = 1024 * 1024;

test('a signed URL that has expired by the time of a resume is asked for again', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(3 * MIB, 7));
  registry.misbehave({ kind: 'redirect' });
  registry.misbehave({ kind: 'break', after: MIB, on: 'storage', times: 1 });
  const { body } = await upstream.getBlob(REPOSITORY, digest, 0, signal);
  registry.expireSignatures();
  assert.deepEqual(await readAll(body), registry.blobBytes(digest));
  assert.deepEqual(
    registry.requests.map(({ kind, status }) => `${kind} ${status}`),
    ['blob 307', 'storage 200', 'blob 307', 'storage 206'],
  );
});

test('storage that refuses a fresh URL is given one more chance', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(1000, 7));
  registry.misbehave({ kind: 'redirect' });
  registry.misbehave({ kind: 'status', status: 403, on: 'storage', times: 1 });
  await readAll((await upstream.getBlob(REPOSITORY, digest, 0, signal)).body);
  registry.misbehave({ kind: 'status', status: 403, on: 'storage' });
  await assert.rejects(upstream.getBlob(REPOSITORY, digest, 0, signal), failsWith('UPSTREAM_DENIED'));
});

test('storage that takes no HEAD still tells a size', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(1000, 7));
  registry.misbehave({ kind: 'redirect' });
  registry.misbehave({ kind: 'status', status: 403, on: 'storage', method: 'HEAD' });
  assert.deepEqual(await upstream.headBlob(REPOSITORY, digest, signal), { size: 1000 });
  assert.ok(registry.bytesServed(digest) <= 1);
});

test('circles end', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.misbehave({ kind: 'status', status: 302, headers: { location: '/v2/a/manifests/b' }, on: 'manifest' });
  await assert.rejects(
    upstream.headManifest(REPOSITORY, 'latest', [], signal),
    failsWith('UPSTREAM_FAILED', /circles/),
  );
  assert.equal(registry.requests.length, 11);
});

test('a redirect to nowhere we would go', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  for (const location of ['file:///etc/passwd', 'http://user:secret@127.0.0.1/', 'http://[', '']) {
    const off = registry.misbehave({ kind: 'status', status: 302, headers: { location }, on: 'manifest' });
    await assert.rejects(
      upstream.headManifest(REPOSITORY, 'latest', [], signal),
      failsWith('UPSTREAM_FAILED', /^(?!.*secret)/),
      location,
    );
    off();
  }
});

test('a token stays at home: storage refuses what comes with an Authorization beside its signature', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  const { digest, size } = registry.addBlob(REPOSITORY.name, Buffer.alloc(1000, 7));
  registry.misbehave({ kind: 'redirect' });
  assert.deepEqual(await upstream.headBlob(REPOSITORY, digest, signal), { size });
  assert.deepEqual(
    await readAll((await upstream.getBlob(REPOSITORY, digest, 0, signal)).body),
    registry.blobBytes(digest),
  );
  const token = registry.requests.find(({ kind, authorization }) => kind === 'blob' && authorization)?.authorization;
  const signed = registry.requests.find(({ kind }) => kind === 'storage')?.path;
  assert.ok(token !== undefined && signed !== undefined);
  for (const authorization of [token, 'Basic bWU6cHc=', '']) {
    const answer = await fetch(`${registry.storageUrl}${signed}`, { headers: { authorization }, signal });
    assert.equal(answer.status, authorization === '' ? 200 : 400);
    await answer.arrayBuffer();
  }
});
