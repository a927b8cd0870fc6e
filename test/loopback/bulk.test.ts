import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { judgeLanes } from '../../agent/cli/doctor/lanes-check.ts';
import { peersText } from '../../agent/cli/peers-text.ts';
import { loadConfig } from '../../agent/config/load.ts';
import type { Digest } from '../../protocol/digest.ts';
import { connected, type Host, startHost, until } from '../support/host.ts';
import { type Behaviour, type HostilePeer, startHostilePeer } from '../support/hostile-peer.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

/* Whole agents whose chunks go by bulk lanes, or do not. */

const MIB = 1024 * 1024;

let upstream: UpstreamRegistry;
let hosts: Host[];
let hostile: HostilePeer | undefined;
/** The bulk threads that were started, in order. */
let threads: Worker[];
const onWorker = (worker: Worker) => void threads.push(worker);

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  hosts = [];
  threads = [];
  process.on('worker', onWorker);
});

afterEach(async () => {
  process.off('worker', onWorker);
  await Promise.all(hosts.map((host) => host.stop()));
  await hostile?.stop();
  hostile = undefined;
  await upstream.close();
});

/** Host n at 127.0.0.(n+2), which dials those before it. */
async function host(config: Record<string, Record<string, unknown>> = {}): Promise<Host> {
  const started = await startHost({
    address: `127.0.0.${hosts.length + 2}`,
    upstream: upstream.url,
    peers: [...hosts.flatMap(({ agent }) => agent.peerAddresses), ...(hostile?.addresses ?? [])],
    config,
  });
  hosts.push(started);
  await connected(started, hosts.length - 1 + (hostile === undefined ? 0 : 1));
  return started;
}

/** A blob that `holder` holds and upstream no longer gives. */
async function held(holder: Host, size: number): Promise<{ bytes: Buffer; digest: Digest }> {
  const bytes = randomBytes(size);
  const { digest } = upstream.addBlob('library/app', bytes);
  assert.ok(bytes.equals(await get(holder, digest)));
  return { bytes, digest };
}

async function get(from: Host, digest: Digest): Promise<Buffer> {
  const response = await fetch(`${from.mirror}/v2/library/app/blobs/${digest}`);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

async function byLane({ agent }: Host, direction: 'sent' | 'received'): Promise<number> {
  const { values } = await agent.metrics.laneBytes.get();
  return values.find(({ labels }) => labels.direction === direction)?.value ?? 0;
}

async function bulkOf(of: Host, peer: string): Promise<string | null | undefined> {
  return (await of.agent.status()).peers.find(({ id }) => id === peer)?.bulk;
}

async function strikesOf(of: Host): Promise<number> {
  return (await of.agent.metrics.strikes.get()).values.reduce((sum, { value }) => sum + value, 0);
}

async function assertNobodyBlamed(): Promise<void> {
  for (const each of hosts) assert.equal(await strikesOf(each), 0);
}

/** A small blob first: the lane opens in the background of that. */
async function openLane(taker: Host, holder: Host): Promise<void> {
  const { bytes, digest } = await held(holder, MIB);
  assert.ok(bytes.equals(await get(taker, digest)));
  await until('the lane is open', async () => (await bulkOf(taker, holder.agent.peerId)) === 'open');
}

test('a blob of 64 MiB goes by the lane, nearly all of it, from one and from two', async () => {
  const first = await host();
  const second = await host();
  const big = await held(first, 64 * MIB);
  upstream.forget();
  assert.ok(big.bytes.equals(await get(second, big.digest)));
  const received = await byLane(second, 'received');
  assert.ok(received > 48 * MIB, `${received} bytes came by the lane`);
  assert.equal(await bulkOf(second, first.agent.peerId), 'open');
  await until('its sender knows', async () => (await byLane(first, 'sent')) >= received);
  const third = await host();
  assert.ok(big.bytes.equals(await get(third, big.digest)));
  assert.ok((await byLane(third, 'received')) > 32 * MIB);
  assert.equal(upstream.blobGets(), 0);
  await assertNobodyBlamed();
});

for (const [where, theirs, ours] of [
  ['the holder', null, undefined],
  ['the taker', undefined, null],
] as const) {
  test(`with lanes off at ${where} the pull is as before`, async () => {
    const off = (bulk: null | undefined) => (bulk === null ? { peers: { bulk } } : {});
    const holder = await host(off(theirs));
    const taker = await host(off(ours));
    const { bytes, digest } = await held(holder, 8 * MIB);
    upstream.forget();
    assert.ok(bytes.equals(await get(taker, digest)));
    assert.equal(upstream.blobGets(), 0);
    assert.equal(await byLane(taker, 'received'), 0);
    await assertNobodyBlamed();
  });
}

test('a holder whose port for lanes cannot be reached: the pull is as before, and peers and doctor say why', async () => {
  // As behind a firewall: peers try the address that they know the holder by.
  const holder = await host({ peers: { bulk: { listen: ['/ip4/127.0.0.77/tcp/0'] } } });
  const taker = await host();
  const { bytes, digest } = await held(holder, 8 * MIB);
  upstream.forget();
  assert.ok(bytes.equals(await get(taker, digest)));
  assert.equal(upstream.blobGets(), 0);
  assert.equal(await byLane(taker, 'received'), 0);
  await until('the lane has failed', async () => /^failed: /.test((await bulkOf(taker, holder.agent.peerId)) ?? ''));
  const status = await taker.agent.status();
  assert.match(peersText(status.peers), /no bulk lane, failed: connect ECONNREFUSED/);
  const { state, what } = judgeLanes(status, loadConfig({}));
  assert.deepEqual([state, /^1 of 1 connected peers .* ECONNREFUSED/.test(what)], ['warn', true]);
  await assertNobodyBlamed();
});

test('with a low limit of the taker’s no lane is opened', async () => {
  const holder = await host();
  const taker = await host({ limits: { peerDownload: '512KiB' } });
  const { bytes, digest } = await held(holder, MIB);
  upstream.forget();
  assert.ok(bytes.equals(await get(taker, digest)));
  assert.equal(await byLane(taker, 'received'), 0);
  assert.equal(await bulkOf(taker, holder.agent.peerId), 'unused');
  await assertNobodyBlamed();
});

test('however many chunks go by, the buffers they go by are few', async () => {
  const holder = await host();
  const taker = await host();
  const made = async ({ agent }: Host) =>
    (await agent.metrics.chunkBuffers.get()).values.reduce((sum, { value }) => sum + value, 0);
  for (let round = 0; round < 2; round++) {
    const { bytes, digest } = await held(holder, 32 * MIB);
    assert.ok(bytes.equals(await get(taker, digest)));
  }
  // As many as may be on their way at a time, at either side, and not one for each of 64 chunks.
  for (const each of hosts) assert.ok((await made(each)) <= 32, `${await made(each)} buffers`);
});

test('a limit of the sender’s holds, and what it holds back of one chunk does not go into another', async () => {
  const holder = await host({ limits: { peerUpload: '8MiB' } });
  const taker = await host();
  await openLane(taker, holder);
  const { bytes, digest } = await held(holder, 24 * MIB);
  upstream.forget();
  const started = performance.now();
  assert.ok(bytes.equals(await get(taker, digest)));
  const seconds = (performance.now() - started) / 1000;
  assert.ok(24 / seconds <= 8 * 1.05 + 1 / seconds, `${24 / seconds} MiB/s`);
  assert.equal(upstream.blobGets(), 0);
  assert.ok((await byLane(taker, 'received')) >= 24 * MIB);
  await assertNobodyBlamed();
});

for (const whose of ['the sender', 'the taker'] as const) {
  test(`the thread of ${whose} dies in mid-flight: the pull goes on, is right, and nobody is struck`, async () => {
    const holder = await host();
    const taker = await host({ limits: { peerDownload: '16MiB' } });
    await openLane(taker, holder);
    const { bytes, digest } = await held(holder, 32 * MIB);
    const before = await byLane(taker, 'received');
    upstream.forget();
    const pulled = get(taker, digest);
    await until('the lane carries some of it', async () => (await byLane(taker, 'received')) > before + 2 * MIB);
    const [holders, takers] = threads;
    await (whose === 'the sender' ? holders : takers)?.terminate();
    assert.ok(bytes.equals(await pulled));
    assert.ok((await byLane(taker, 'received')) < before + 32 * MIB);
    assert.equal(upstream.blobGets(), 0);
    await assertNobodyBlamed();
    const [dead, living] = whose === 'the sender' ? [holder, taker] : [taker, holder];
    const told = (host: Host) => host.log.filter(({ msg }) => String(msg).startsWith('the bulk thread died')).length;
    assert.deepEqual([told(dead), told(living)], [1, 0]);
    // It is started again by whoever needs it, and lanes open again once the asker tries again.
    await until('a lane is open again', async () => {
      const { digest } = await held(holder, 1_000);
      await get(taker, digest);
      return (await bulkOf(taker, holder.agent.peerId)) === 'open';
    });
    const [again, soFar] = [await held(holder, 8 * MIB), await byLane(taker, 'received')];
    assert.ok(again.bytes.equals(await get(taker, again.digest)));
    assert.ok((await byLane(taker, 'received')) > soFar);
  });
}

/** A blob upstream that a peer at 127.0.0.66 says it holds: honest by libp2p, and by its lane as its behaviour has it. */
async function beside(behaviour: Behaviour) {
  const bytes = randomBytes(24 * MIB + 77);
  const { digest } = upstream.addBlob('library/app', bytes);
  hostile = await startHostilePeer({
    listen: ['/ip4/127.0.0.66/tcp/0'],
    blobs: [bytes],
    behaviour,
    lane: 'misused',
  });
  const victim = await host({ peers: { stallTimeout: '500ms' }, limits: { peerDownload: '32MiB' } });
  assert.ok(bytes.equals(await get(victim, digest)));
  assert.ok(hostile.laneBodies > 0, 'some of it came by the lane');
  return { victim, peer: hostile.peerId };
}

for (const behaviour of ['flip', 'flip-some'] as const) {
  test(`a peer whose lane carries wrong bytes (${behaviour}) is named and shut out; the bytes are right`, async () => {
    const { victim, peer } = await beside(behaviour);
    const { peers } = await victim.agent.status();
    assert.equal(peers.find(({ id }) => id === peer)?.state, 'banned');
    assert.equal((await victim.agent.metrics.bans.get()).values[0]?.value, 1);
    assert.ok(victim.log.some((line) => line.peer === peer && Number(line.level) >= 40));
  });
}

test('a peer whose lane ends in half a chunk, again and again: the pull goes on, and nobody is struck', async () => {
  const { victim } = await beside('cut');
  assert.equal(await strikesOf(victim), 0);
});

test('a peer whose lane is silent after half a chunk has stalled, like one whose stream is', async () => {
  const { victim } = await beside('stall');
  const { values } = await victim.agent.metrics.strikes.get();
  assert.deepEqual(
    values.map(({ labels }) => labels.offence),
    ['stalled'],
  );
});
