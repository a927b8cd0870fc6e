import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { multiaddr } from '@multiformats/multiaddr';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { openDatastore } from '../../../agent/swarm/datastore.ts';
import { createGater } from '../../../agent/swarm/gater.ts';
import { noisePrologue } from '../../../agent/swarm/key.ts';
import { createNode } from '../../../agent/swarm/node.ts';
import { createReputation } from '../../../agent/swarm/reputation.ts';
import { createAcceptance, isNear } from '../../../agent/swarm/source.ts';
import { nextAddress } from './fixture.ts';

const NEAR = [
  ...['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.9.9', '192.168.0.1', '169.254.1.1', '127.0.0.1', '127.9.9.9'],
  ...['::1', 'fe80::1', 'febf::1', 'fc00::1', 'fdff::1', '::ffff:10.0.0.1', '::ffff:a00:1', '::ffff:127.0.0.1'],
];
const FAR = [
  ...['8.8.8.8', '9.255.255.255', '11.0.0.0', '172.15.0.1', '172.32.0.1', '192.167.1.1', '192.169.1.1', '169.253.1.1'],
  ...['100.64.0.1', '192.0.2.1', '0.0.0.0', '2001:db8::1', '2600::1', 'fec0::1', 'fe00::1', 'fbff::1', '::', '::2'],
  ...['::ffff:8.8.8.8', '::ffff:808:808', '::10.0.0.1', '64:ff9b::a00:1', '', 'localhost', 'private.example'],
];

test('what is near: private, link-local, unique local and loopback addresses', () => {
  for (const host of NEAR) assert.ok(isNear(host), host);
  for (const host of FAR) assert.ok(!isNear(host), host);
});

test('connections from elsewhere are refused, counted, and told once', async () => {
  const told: unknown[] = [];
  const metrics = createMetrics();
  const logger = { info: (fields: unknown) => void told.push(fields) };
  const { accepts, onRefused } = createAcceptance({ logger, metrics }, 'private');
  const gater = createGater({ reputation: createReputation(Date.now), accepts, onRefused });
  const denied = (host: string) => {
    const remoteAddr = multiaddr(`/ip${host.includes(':') ? 6 : 4}/${host}/tcp/4055`);
    return gater.denyInboundConnection!({ remoteAddr } as Parameters<
      NonNullable<typeof gater.denyInboundConnection>
    >[0]);
  };
  for (const host of NEAR) assert.equal(denied(host), false, host);
  assert.deepEqual(told, []);
  const far = FAR.filter((host) => /^[0-9a-f.:]+$/.test(host));
  for (const host of far) assert.equal(denied(host), true, host);
  assert.deepEqual(told, [{ address: '8.8.8.8' }]);
  assert.equal((await metrics.refusedConnections.get()).values[0]?.value, far.length);
  const any = createAcceptance({ logger, metrics }, 'any');
  for (const host of [...NEAR, ...FAR]) assert.ok(any.accepts(host), host);
});

test('whose address is refused gets no byte of a handshake', { timeout: 30_000 }, async (t: TestContext) => {
  const refused: string[] = [];
  let accepted = false;
  const datastore = openDatastore(undefined);
  const node = await createNode({
    privateKey: await generateKeyPair('Ed25519'),
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    prologue: noisePrologue(undefined),
    gater: createGater({
      reputation: createReputation(Date.now),
      accepts: () => accepted,
      onRefused: (host) => refused.push(host),
    }),
    datastore,
    dht: false,
    discovery: [],
  });
  await node.start();
  t.after(async () => {
    await node.stop();
    datastore.close();
  });
  const [address, tcp] = node.getMultiaddrs()[0]!.getComponents();
  const [host, port] = [address!.value, Number(tcp!.value)];
  const heard = async (): Promise<number> => {
    const socket = connect({ host, port });
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    // As whoever dials: it is the listener's turn next.
    socket.write('\x13/multistream/1.0.0\n');
    if (!accepted) return (await buffer(socket).catch(() => Buffer.alloc(0))).length;
    return new Promise((resolve) => socket.once('data', (bytes) => resolve(bytes.length)));
  };
  assert.equal(await heard(), 0);
  assert.deepEqual(refused, ['127.0.0.1']);
  accepted = true;
  assert.ok((await heard()) > 0);
});
