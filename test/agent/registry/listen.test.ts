import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { pino } from 'pino';
import { isAgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import type { Listen } from '../../../agent/registry/bind.ts';
import { createMirror } from '../../../agent/registry/mirror.ts';
import { until } from '../../support/host.ts';
import { dial, MemoryContent, startMirror } from './support.ts';

function idleMirror({ listen }: { listen?: Listen } = {}) {
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) });
  const components = { logger, metrics: createMetrics(), content: new MemoryContent(), status: () => null };
  const mirror = createMirror(
    { ...components, health: () => ({ ok: true }), ...(listen && { listen }) },
    { drainTimeout: 0, retryInterval: 10 },
  );
  return Object.assign(mirror, { log });
}

/** An address for documents (RFC 5737): no machine has it. */
const ABSENT = '192.0.2.1:5055';

/** Binds as the kernel does, but {@link ABSENT} as `state` says, and at a loopback address in place of it. */
function listenAs(state: { absent: 'EADDRNOTAVAIL' | 'EADDRINUSE' | 'here' }) {
  const tries: string[] = [];
  const listen: Listen = (server, { host, port }) => {
    tries.push(host);
    if (!ABSENT.startsWith(host)) return void server.listen({ host, port });
    if (state.absent === 'here') {
      const address = server.address.bind(server);
      server.address = () => ({ ...(address() as AddressInfo), address: host });
      server.listen({ host: '127.0.0.1', port: 0 });
      return;
    }
    const error = Object.assign(new Error('no'), { code: state.absent });
    setImmediate(() => server.emit('error', error));
  };
  return { listen, tries };
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

test('an address that is not here is told once, and keeps none of the others from being listened on', async (t) => {
  const mirror = idleMirror();
  t.after(() => mirror.close());
  await mirror.listen([ABSENT, '127.0.0.1:0']);
  assert.match(mirror.addresses.join(), /^127\.0\.0\.1:[0-9]+$/);
  assert.deepEqual(mirror.awaited, [ABSENT]);
  assert.equal((await fetch(`http://${mirror.addresses[0]}/v2/`)).status, 200);
  const warnings = mirror.log.map(({ msg }) => msg);
  assert.deepEqual(warnings, [`${ABSENT} is not an address of this machine. It is tried again until it is there.`]);
});

test('it is tried until it is there, and then listened on; who can reach it there is told', async (t) => {
  const state: Parameters<typeof listenAs>[0] = { absent: 'EADDRNOTAVAIL' };
  const { listen, tries } = listenAs(state);
  const mirror = idleMirror({ listen });
  t.after(() => mirror.close());
  await mirror.listen([ABSENT, '127.0.0.1:0']);
  const [own] = mirror.addresses;
  await until('it was tried three times more', () => tries.length >= 5);
  assert.equal(mirror.log.length, 1);
  state.absent = 'EADDRINUSE';
  const taken = () => mirror.log.filter(({ code }) => code === 'ADDRESS_IN_USE');
  await until('it is told that it is taken', () => taken().length > 0);
  const { length } = tries;
  await until('it was tried three times more', () => tries.length >= length + 3);
  assert.equal(taken().length, 1, 'once');
  state.absent = 'here';
  await until('it is listened on', () => mirror.addresses.length === 2);
  assert.deepEqual(mirror.awaited, []);
  const [late, still] = mirror.addresses;
  assert.equal(still, own, 'in the order in which they were asked for');
  const response = await fetch(`http://127.0.0.1:${late?.split(':')[1]}/v2/`);
  assert.equal(response.status, 200);
  await response.text();
  const said = mirror.log.map(({ msg, address, addresses }) => [msg, address ?? addresses]).slice(2);
  assert.deepEqual(said, [
    ['whoever can connect here can pull through it', [late]],
    ['listening here too, now that it is there', ABSENT],
  ]);
});

test('a mirror that others can reach says so at its start, one on loopback says nothing', async (t) => {
  for (const [addresses, told] of [
    [['127.0.0.1:0'], 0],
    [['127.0.0.1:0', ABSENT], 1],
  ] as const) {
    const mirror = idleMirror(listenAs({ absent: 'here' }));
    t.after(() => mirror.close());
    await mirror.listen(addresses);
    const warnings = mirror.log.filter(({ msg }) => msg === 'whoever can connect here can pull through it');
    assert.deepEqual(
      warnings.map((line) => [line.level, line.addresses]),
      told === 0 ? [] : [[40, [mirror.addresses[1]]]],
    );
  }
});

test('what is waited for is given up with the mirror', async () => {
  const { listen, tries } = listenAs({ absent: 'EADDRNOTAVAIL' });
  const mirror = idleMirror({ listen });
  await mirror.listen([ABSENT, '127.0.0.1:0']);
  await until('it was tried again', () => tries.length >= 4);
  await mirror.close();
  const { length } = tries;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(tries.length, length);
});

test('an address that is not here beside a port that is taken ends the start', async (t) => {
  const other = createServer();
  t.after(() => other.close());
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const mirror = idleMirror();
  t.after(() => mirror.close());
  await assert.rejects(mirror.listen([ABSENT, '127.0.0.2:0', `127.0.0.1:${port}`]), (error) =>
    isAgentError(error, 'ADDRESS_IN_USE'),
  );
  assert.deepEqual([mirror.addresses, mirror.awaited], [[], []]);
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
