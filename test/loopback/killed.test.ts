import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import { connected, startHost, until } from '../support/host.ts';
import { pullImage } from '../support/puller.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const LAYER = 64 * MIB;

let upstream: UpstreamRegistry;
let directory: string;
let agents: AgentProcess[];

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  directory = await mkdtemp(join(tmpdir(), 'layerlan-killed-'));
  agents = [];
});

afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.child.exitCode ?? agent.child.signalCode ?? agent.end('SIGKILL')));
  await upstream.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(address: string): Promise<AgentProcess> {
  const agent = await startAgentProcess(directory, { address, upstream: upstream.url });
  agents.push(agent);
  return agent;
}

test('SIGTERM drains and ends with 0 within 10 s', async () => {
  const agent = await start('127.0.0.2');
  const started = performance.now();
  assert.equal(await agent.end('SIGTERM'), 0);
  assert.ok(performance.now() - started < 10_000);
});

test('SIGTERM in mid-pull lets the pull end', async () => {
  const { layers } = upstream.addImage('library/app', { layers: [8 * MIB] });
  upstream.misbehave({ kind: 'rate', bytesPerSecond: 8 * MIB });
  const agent = await start('127.0.0.2');
  const pulling = pullImage({ mirror: agent.mirror, repository: 'library/app', reference: 'latest' });
  await until('some of the layer is here', () => upstream.bytesServed(layers[0]?.digest) > MIB);
  const ended = agent.end('SIGTERM');
  assert.ok((await pulling).matches);
  assert.equal(await ended, 0);
});

test('a peer killed in mid-transfer: the pull goes on upstream and the client never notices', async () => {
  const { layers } = upstream.addImage('library/app', { layers: [LAYER] });
  const holder = await start('127.0.0.2');
  await pullImage({ mirror: holder.mirror, repository: 'library/app', reference: 'latest' });
  const taker = await startHost({ address: '127.0.0.3', upstream: upstream.url, peers: holder.peerAddresses });
  try {
    await connected(taker, 1);
    upstream.forget();
    const pulling = taker.pull('library/app', 'latest');
    const taken = async () => (await taker.agent.status()).traffic.peerBytes;
    await until('between a fifth and four fifths are here', async () => (await taken()) > 0.2 * LAYER);
    await holder.end('SIGKILL');
    const atKill = await taken();
    assert.ok(atKill < 0.8 * LAYER, `killed at ${atKill} of ${LAYER} bytes: too late`);
    const pulled = await pulling;
    assert.ok(pulled.matches);
    assert.ok(pulled.blobs.every((blob) => blob.resumed === 0));
    const [layer] = layers;
    assert.ok(upstream.bytesServed(layer?.digest) < 0.85 * LAYER);
  } finally {
    await taker.stop();
  }
});

test('an agent killed in mid-download keeps what it had and takes only the rest', async () => {
  const { layers } = upstream.addImage('library/app', { layers: [LAYER] });
  const [layer] = layers as [(typeof layers)[number]];
  const slow = upstream.misbehave({ kind: 'rate', bytesPerSecond: 16 * MIB });
  const first = await start('127.0.0.2');
  const broken = pullImage({ mirror: first.mirror, repository: 'library/app', reference: 'latest' });
  broken.catch(() => {});
  await until('half of the layer is here', () => upstream.bytesServed(layer.digest) > LAYER / 2);
  await first.end('SIGKILL');
  const before = upstream.bytesServed(layer.digest);
  assert.ok(before < 0.8 * LAYER, `killed at ${before} of ${LAYER} bytes: too late`);
  await assert.rejects(broken);

  slow();
  upstream.forget();
  const second = await start('127.0.0.2');
  const pulled = await pullImage({ mirror: second.mirror, repository: 'library/app', reference: 'latest' });
  assert.ok(pulled.matches);
  // What was sent and lost: the chunk in progress, and what stood in the sockets' buffers.
  assert.ok(upstream.bytesServed(layer.digest) + before < LAYER + 8 * MIB);
  assert.ok(second.log.some((line) => line.msg === 'blob fetched' && Number(line.resumed) > 0));
});
