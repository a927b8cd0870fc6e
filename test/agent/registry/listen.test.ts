import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { pino } from 'pino';
import { isAgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createMirror } from '../../../agent/registry/mirror.ts';
import { dial, MemoryContent, startMirror } from './support.ts';

function idleMirror() {
  const logger = pino({ level: 'silent' });
  const components = { logger, metrics: createMetrics(), content: new MemoryContent(), status: () => null };
  return createMirror({ ...components, health: () => ({ ok: true }) }, { drainTimeout: 0 });
}

const hasIPv6Loopback = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

test('several addresses, one face', async (t) => {
  const mirror = idleMirror();
  t.after(() => mirror.close());
  const wanted = ['127.0.0.1:0', '127.0.0.2:0', 'localhost:0', ...(hasIPv6Loopback ? ['[::1]:0'] : [])];
  await mirror.listen(wanted);
  assert.equal(mirror.addresses.length, wanted.length);
  for (const address of mirror.addresses) {
    assert.doesNotMatch(address, /:0$/);
    const response = await fetch(`http://${address}/v2/`);
    assert.equal(response.status, 200, address);
    await response.text();
  }
});

test('a port that is taken is named, and what was opened before it is closed again', async (t) => {
  const other = createServer();
  t.after(() => other.close());
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const mirror = idleMirror();
  t.after(() => mirror.close());
  await assert.rejects(mirror.listen(['127.0.0.2:0', `127.0.0.1:${port}`]), (error) => {
    assert.ok(isAgentError(error, 'ADDRESS_IN_USE'));
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
    return true;
  });
  assert.deepEqual(mirror.addresses, []);
});

test('an address that is not here, and what is no address', async (t) => {
  const mirror = idleMirror();
  t.after(() => mirror.close());
  await assert.rejects(mirror.listen(['192.0.2.1:5055']), (error) => isAgentError(error, 'ADDRESS_UNUSABLE'));
  for (const text of ['5055', ':5055', '127.0.0.1', '127.0.0.1:70000', '127.0.0.256:1', '::1:5055', 'a b:1', '[x]:1']) {
    await assert.rejects(mirror.listen([text]), (error) => isAgentError(error, 'CONFIG_INVALID'), text);
  }
});

test('connections beyond the bound are dropped, and those within it stay', async (t) => {
  const { port } = await startMirror(t, { maxConnections: 2 });
  const first = await dial(t, port);
  const second = await dial(t, port);
  const third = await dial(t, port);
  third.on('error', () => {});
  third.resume();
  await once(third, 'close');
  assert.ok(!first.destroyed && !second.destroyed);
});
