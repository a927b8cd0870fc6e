import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import test, { type TestContext } from 'node:test';
import { createSecureContext } from 'node:tls';
import { type Connector, createConnector } from '../../../agent/upstream/connector.ts';
import { DIRECTLY } from '../../../agent/upstream/proxy-rule.ts';
import { startDeafServer } from '../../support/deaf-server.ts';

const DIRECT = { connected: () => {}, secureContext: () => createSecureContext(), proxyFor: DIRECTLY };

async function listening(context: TestContext): Promise<URL> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function connector(context: TestContext, isPublicOnly: boolean, probeTimeout: number): Connector {
  const created = createConnector({ ...DIRECT, isPublicOnly, connectTimeout: 100, probeTimeout });
  context.after(() => created.close());
  return created;
}

test('a probe tells whether a connection can be made, by TCP alone', async (context) => {
  const origin = await listening(context);
  assert.equal(await connector(context, false, 5000).probe(origin), true);
  assert.equal(await connector(context, false, 5000).probe(new URL('http://127.0.0.1:1')), false, 'refused');
  const deaf = await startDeafServer();
  context.after(() => deaf.close());
  await deaf.freeze();
  assert.equal(await connector(context, false, 100).probe(new URL(deaf.url)), false, 'dropped');
});

test('a probe is no way around the refusal of private addresses', async (context) => {
  const origin = await listening(context);
  const guarded = connector(context, true, 5000);
  assert.equal(await guarded.probe(origin), false);
  assert.equal(await guarded.probe(new URL(`https://localhost:${origin.port}`)), false);
});

test('a busy event loop does not pass for a silent network', async (context) => {
  const origin = await listening(context);
  const probe = connector(context, false, 50).probe(origin);
  process.nextTick(() => {
    const until = performance.now() + 200;
    while (performance.now() < until) {}
  });
  assert.equal(await probe, true);
});

test('closing ends what is still connecting', async (context) => {
  const deaf = await startDeafServer();
  context.after(() => deaf.close());
  await deaf.freeze();
  const created = createConnector({
    isPublicOnly: false,
    connectTimeout: 60_000,
    probeTimeout: 60_000,
    ...DIRECT,
  });
  const probe = created.probe(new URL(deaf.url));
  const { hostname, host, protocol, port } = new URL(deaf.url);
  const connect = new Promise((resolve) =>
    created.connect({ hostname, host, protocol, port }, (...answer) => resolve(answer[0])),
  );
  created.close();
  assert.equal(await probe, false);
  assert.ok((await connect) instanceof Error);
});
