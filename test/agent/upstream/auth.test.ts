import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { client, failsWith, fixture, REPOSITORY, readAll } from './fixture.ts';

test('an anonymous token is fetched once and used for all', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  const { layers } = registry.addImage(REPOSITORY.name, { layers: [10, 20, 30] });
  await Promise.all([
    upstream.headManifest(REPOSITORY, 'latest', [], signal),
    upstream.getManifest(REPOSITORY, 'latest', [], signal),
    ...layers.map(({ digest }) => upstream.headBlob(REPOSITORY, digest, signal)),
  ]);
  const tokens = registry.requests.filter(({ kind }) => kind === 'token');
  assert.deepEqual(
    tokens.map(({ path }) => path),
    ['/token?service=test&scope=repository%3Alibrary%2Fimage%3Apull'],
  );
  registry.forget();
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  assert.deepEqual(
    registry.requests.map(({ status }) => status),
    [200],
  );
});

test('another repository gets a token of its own', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  const other = { ...REPOSITORY, name: 'library/other' };
  for (const repository of [REPOSITORY, other]) {
    registry.addImage(repository.name, { layers: [10] });
    await upstream.headManifest(repository, 'latest', [], signal);
  }
  assert.equal(registry.requests.filter(({ kind }) => kind === 'token').length, 2);
});

test('a token that is refused is renewed', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  registry.addImage(REPOSITORY.name, { layers: [10] });
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  registry.expireTokens();
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  assert.equal(registry.requests.filter(({ kind }) => kind === 'token').length, 2);
});

test('a registry that refuses every token is not asked for ever', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  const challenge = `Bearer realm="${registry.url}/token"`;
  registry.misbehave({ kind: 'status', status: 401, headers: { 'www-authenticate': challenge }, on: 'manifest' });
  await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_DENIED'));
  assert.ok(registry.requests.length <= 6, `${registry.requests.length} requests`);
});

test('no token for anonymous clients', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  for (const [status, code] of [
    [401, 'UPSTREAM_DENIED'],
    [403, 'UPSTREAM_DENIED'],
    [429, 'UPSTREAM_RATE_LIMITED'],
    [200, 'UPSTREAM_FAILED'],
    [302, 'UPSTREAM_FAILED'],
  ] as const) {
    const headers = { location: `${registry.url}/token?service=test` };
    const off = registry.misbehave({ kind: 'status', status, headers, on: 'token' });
    await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith(code), `${status}`);
    off();
  }
});

test('a realm on a foreign host is not followed', async (context) => {
  const requests: string[] = [];
  const foreign = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end('{"token":"stolen"}');
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.2', resolve));
  context.after(() => foreign.close());
  const { port } = foreign.address() as AddressInfo;
  const { upstream, signal } = await fixture(context, { auth: 'bearer', realm: `http://127.0.0.2:${port}/token` });
  await assert.rejects(
    upstream.headManifest(REPOSITORY, 'latest', [], signal),
    failsWith('UPSTREAM_FAILED', /another domain/),
  );
  assert.deepEqual(requests, []);
});

test('a token body without end is cut off', async (context) => {
  const endless = createServer((request, response) => {
    if (request.url?.startsWith('/token')) {
      const more = (): void => {
        while (response.write('x'.repeat(16_384))) {}
        response.once('drain', more);
      };
      return more();
    }
    const { port } = endless.address() as AddressInfo;
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://127.0.0.1:${port}/token"` });
    response.end();
  });
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    endless.closeAllConnections();
    endless.close();
  });
  const { port } = endless.address() as AddressInfo;
  const registries = { 'docker.io': { endpoints: [`http://127.0.0.1:${port}`] } };
  const { upstream, signal } = await fixture(context, {}, { registries });
  await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_FAILED', /65536/));
});

test('Authorization does not follow a redirect to another origin', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [1000] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'redirect' });
  const { size, body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  assert.equal(size, 1000);
  assert.deepEqual(await readAll(body), registry.blobBytes(layer.digest));
  const atRegistry = registry.requests.filter(({ kind, status }) => kind === 'blob' && status === 307);
  assert.equal(atRegistry.length, 1);
  assert.match(atRegistry[0]?.authorization ?? '', /^Bearer /);
  const atStorage = registry.requests.filter(({ kind }) => kind === 'storage');
  assert.deepEqual(
    atStorage.map(({ authorization, status }) => ({ authorization, status })),
    [{ authorization: undefined, status: 200 }],
  );
});

test('a token server whose connection breaks is asked again', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { auth: 'bearer' });
  registry.addImage(REPOSITORY.name, { layers: [10] });
  const port = await brokenOnce(context, registry.url);
  const registries = { 'docker.io': { endpoints: [`http://127.0.0.1:${port}`] } };
  await client(context, { registries }).upstream.headManifest(REPOSITORY, 'latest', [], signal);
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
});

/** A proxy in front of a registry that drops the first request for a token. Returns its port. */
async function brokenOnce(context: TestContext, url: string): Promise<number> {
  let isBroken = false;
  const proxy = createServer(async (request, response) => {
    if (request.url?.startsWith('/token') && !isBroken) {
      isBroken = true;
      return request.socket.destroy();
    }
    const headers = request.headers.authorization ? { authorization: request.headers.authorization } : {};
    const answer = await fetch(`${url}${request.url}`, { method: request.method ?? 'GET', headers });
    const { port } = proxy.address() as AddressInfo;
    const challenge = answer.headers.get('www-authenticate')?.replace(url, `http://127.0.0.1:${port}`);
    response.writeHead(answer.status, challenge ? { 'www-authenticate': challenge } : {});
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return (proxy.address() as AddressInfo).port;
}
