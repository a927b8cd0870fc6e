import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { createConnector } from '../../../agent/upstream/connector.ts';
import { createProxyRule } from '../../../agent/upstream/proxy-rule.ts';
import { createTrust } from '../../../agent/upstream/trust.ts';
import { createAuthority } from '../../support/certificates.ts';
import { type ConnectProxy, startConnectProxy } from '../../support/connect-proxy.ts';
import { startDeafServer } from '../../support/deaf-server.ts';
import { startUpstreamRegistry, type UpstreamRegistryOptions } from '../../support/upstream-registry.ts';
import { client, failsWith, PATIENCE, REPOSITORY, readAll } from './fixture.ts';

const NAME = 'registry.example';

/** A registry, with TLS but where it `isPlain`, by a name that only the proxy can resolve. */
async function behindProxy(context: TestContext, options: UpstreamRegistryOptions = {}, isPlain = false) {
  const authority = createAuthority();
  const tls = authority.issue(NAME, '127.0.0.1');
  const registry = await startUpstreamRegistry({ ...(isPlain ? {} : { tls }), ...options });
  context.after(() => registry.close());
  const { host } = registry;
  const proxy = await startConnectProxy({ [`${NAME}:443`]: host, [`${NAME}:80`]: host });
  context.after(() => proxy.close());
  const proxyFor = createProxyRule(proxy.url.replace('//', '//user:hunter2@'), {});
  return { authority, registry, proxy, proxyFor, signal: AbortSignal.timeout(PATIENCE) };
}

test('a registry and its tokens through a proxy, which resolves the name and alone hears its password', async (context) => {
  const options = { auth: 'bearer', realm: `https://${NAME}/token` } as const;
  const { authority, registry, proxy, proxyFor, signal } = await behindProxy(context, options);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  const registries = { 'docker.io': { endpoints: [`https://${NAME}`], ca: authority.cert } };
  const { upstream } = client(context, { registries, proxyFor });
  await upstream.getManifest(REPOSITORY, 'latest', [], signal);
  assert.deepEqual([...new Set(proxy.asked)], [`${NAME}:443`]);
  const authorization = `Basic ${Buffer.from('user:hunter2').toString('base64')}`;
  assert.ok(proxy.authorizations.every((one) => one === authorization));
  assert.ok(registry.requests.length >= 3);
  assert.ok(registry.requests.every((request) => request.authorization !== authorization));
});

test('blobs through a proxy, and the storage they are redirected to, with TLS and without', async (context) => {
  for (const isPlain of [false, true]) {
    const { authority, registry, proxy, proxyFor, signal } = await behindProxy(context, {}, isPlain);
    const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(100_000, 7));
    registry.misbehave({ kind: 'redirect' });
    const registries = { 'docker.io': { endpoints: [registry.url], ca: authority.cert } };
    const { upstream } = client(context, { registries, proxyFor });
    const { body } = await upstream.getBlob(REPOSITORY, digest, 0, signal);
    assert.deepEqual(await readAll(body), registry.blobBytes(digest));
    assert.deepEqual(proxy.asked, [registry.host, new URL(registry.storageUrl).host]);
    assert.ok(proxy.forwarded > 100_000);
  }
});

test('what NO_PROXY exempts goes around it', async (context) => {
  const { authority, registry, proxy, signal } = await behindProxy(context);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  const registries = {
    'docker.io': { endpoints: [registry.url], ca: authority.cert },
    'a.io': { endpoints: [`https://${NAME}`], ca: authority.cert },
  };
  const proxyFor = createProxyRule(null, { HTTPS_PROXY: proxy.url, NO_PROXY: '127.0.0.1' });
  const { upstream } = client(context, { registries, proxyFor });
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  assert.deepEqual(proxy.asked, []);
  await upstream.headManifest({ registry: 'a.io', name: REPOSITORY.name }, 'latest', [], signal);
  assert.deepEqual(proxy.asked, [`${NAME}:443`]);
});

test('a proxy that refuses, cannot connect, or is away is named, and its password is not', async (context) => {
  const { proxy, proxyFor, signal } = await behindProxy(context);
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints: [`https://${NAME}`] } }, proxyFor });
  const head = () => upstream.headManifest(REPOSITORY, 'latest', [], signal);
  const told = (reason: string) => (error: unknown) => {
    assert.ok(error instanceof Error);
    assert.equal(error.message, `${NAME}:443 cannot be reached: the proxy http://127.0.0.1:${proxy.port} ${reason}`);
    for (let each: unknown = error; each instanceof Error; each = each.cause) {
      assert.doesNotMatch(`${each.stack} ${JSON.stringify(each)}`, /hunter2|aHVudGVyMg|dXNlcjpodW50ZXIy/);
    }
    return failsWith('UPSTREAM_UNREACHABLE')(error);
  };
  for (const [status, reason] of [
    [407, 'wants a user and a password that it accepts (407)'],
    [403, 'refuses to connect to it (403)'],
    [302, 'refuses to connect to it (302)'],
    [502, 'cannot connect to it (502)'],
  ] as const) {
    proxy.refuseWith = status;
    await assert.rejects(head, told(reason));
  }
  await proxy.close();
  await assert.rejects(head, told('failed (ECONNREFUSED)'));
});

test('a proxy that says nothing, or nonsense, is no proxy for long', async (context) => {
  const { proxy, proxyFor, signal } = await behindProxy(context);
  const registries = { 'docker.io': { endpoints: [`https://${NAME}`] } };
  proxy.refuseWith = 'silence';
  const silent = client(context, { registries, proxyFor, connectTimeout: 100 }).upstream;
  await assert.rejects(
    silent.headManifest(REPOSITORY, 'latest', [], signal),
    failsWith('UPSTREAM_UNREACHABLE', /no connection through the proxy http:\/\/127\.0\.0\.1:\d+ within 100 ms/),
  );
  for (const answer of ['SSH-2.0-x\r\n', `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(1024 * 1024)}\r\n\r\n`, '']) {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { upstream } = client(context, { registries, proxyFor: createProxyRule(`http://127.0.0.1:${port}`, {}) });
    await assert.rejects(
      upstream.headManifest(REPOSITORY, 'latest', [], signal),
      failsWith('UPSTREAM_UNREACHABLE', /the proxy .* failed/),
    );
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('what nobody wrote may not be private as it is written: the proxy is not even asked', async (context) => {
  const { registry, proxy, proxyFor, signal } = await behindProxy(context);
  const { upstream } = client(context, { proxyFor });
  for (const name of [registry.host, '10.0.0.1', 'localhost:5000', 'a.localhost']) {
    await assert.rejects(
      upstream.headManifest({ registry: name, name: 'a/b' }, 'latest', [], signal),
      failsWith('ADDRESS_PRIVATE', /private address/),
      name,
    );
  }
  assert.deepEqual(proxy.asked, []);
});

test('nor may what a registry redirects to: localhost is that also with the root’s dot', async (context) => {
  const { registry, proxy, proxyFor, signal } = await behindProxy(context, {}, true);
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(10));
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints: [`http://${NAME}`] } }, proxyFor });
  for (const name of ['localhost', 'localhost.', 'a.localhost.']) {
    registry.behave();
    registry.misbehave({ kind: 'status', status: 307, headers: { location: `http://${name}:8080/` }, on: 'blob' });
    await assert.rejects(
      upstream.getBlob(REPOSITORY, digest, 0, signal),
      failsWith('ADDRESS_PRIVATE', /private address/),
      name,
    );
  }
  assert.deepEqual(new Set(proxy.asked), new Set([`${NAME}:80`]));
});

test('that the proxy is on the LAN does not let a registry send us there', async (context) => {
  const { registry, proxy, proxyFor, signal } = await behindProxy(context, {}, true);
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(10));
  registry.misbehave({ kind: 'redirect' });
  const registries = { 'docker.io': { endpoints: [`http://${NAME}`] } };
  const { upstream } = client(context, { registries, proxyFor });
  await assert.rejects(
    upstream.getBlob(REPOSITORY, digest, 0, signal),
    failsWith('ADDRESS_PRIVATE', /private address/),
  );
  assert.deepEqual(proxy.asked, [`${NAME}:80`]);
});

function probing(context: TestContext, proxy: Pick<ConnectProxy, 'url'>, isPublicOnly = true) {
  const created = createConnector({
    isPublicOnly,
    connectTimeout: 200,
    // Of no account here: the proxy has to connect first.
    probeTimeout: 1,
    connected: () => {},
    secureContext: () => createTrust().context(undefined),
    proxyFor: createProxyRule(proxy.url, {}),
  });
  context.after(() => created.close());
  return (url: string) => created.probe(new URL(url));
}

test('a probe asks the proxy, and calls upstream away only where the proxy is, or says so', async (context) => {
  const { proxy } = await behindProxy(context);
  const probe = probing(context, proxy);
  assert.equal(await probe(`https://${NAME}`), true, 'no name that could be resolved here');
  proxy.refuseWith = 407;
  assert.equal(await probe(`https://${NAME}`), true);
  proxy.refuseWith = 504;
  assert.equal(await probe(`https://${NAME}`), false);
  proxy.refuseWith = 'silence';
  assert.equal(await probe(`https://${NAME}`), false);
  assert.equal(proxy.asked.length, 4);
  assert.equal(await probe('https://10.0.0.1'), false);
  assert.equal(proxy.asked.length, 4, 'a private address');
  const deaf = await startDeafServer();
  context.after(() => deaf.close());
  await deaf.freeze();
  assert.equal(await probing(context, deaf)(`https://${NAME}`), false);
});
