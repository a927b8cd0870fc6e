import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { generateNetworkKey } from '../../agent/swarm/key.ts';
import type { Digest } from '../../protocol/digest.ts';
import { connected, type Host, type HostOptions, startHost, until } from '../support/host.ts';
import { type Behaviour, type HostilePeer, startHostilePeer } from '../support/hostile-peer.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const SIZE = 4 * MIB + 77;

let upstream: UpstreamRegistry;
let hosts: Host[];
let hostile: HostilePeer | undefined;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  hosts = [];
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await hostile?.stop();
  hostile = undefined;
  await upstream.close();
});

async function host(over: Partial<HostOptions> = {}): Promise<Host> {
  const started = await startHost({ address: `127.0.0.${hosts.length + 2}`, upstream: upstream.url, ...over });
  hosts.push(started);
  return started;
}

/** A blob upstream that a peer at 127.0.0.66 says it holds, and a host that knows that peer. */
async function beside(behaviour: Behaviour) {
  const bytes = randomBytes(SIZE);
  const { digest } = upstream.addBlob('library/app', bytes);
  hostile = await startHostilePeer({ listen: ['/ip4/127.0.0.66/tcp/0'], blobs: [bytes], behaviour });
  const victim = await host({ peers: hostile.addresses, config: { peers: { stallTimeout: '300ms' } } });
  await connected(victim, 1);
  return { bytes, digest, victim, peer: hostile.peerId };
}

async function get(from: Host, digest: Digest): Promise<Buffer> {
  const response = await fetch(`${from.mirror}/v2/library/app/blobs/${digest}`);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

const strikesOf = async (of: Host, id: string) =>
  (await of.agent.status()).peers.find((peer) => peer.id === id)?.strikes ?? 0;

const stored = (of: Host, digest: Digest) => join(of.directory, 'store', 'blobs', ...digest.split(':'));

for (const behaviour of ['flip', 'false-map', 'wrong-map'] as const) {
  test(`a peer that lies (${behaviour}): refused, counted, named, shut out; the bytes are right`, async () => {
    const { bytes, digest, victim, peer } = await beside(behaviour);
    assert.ok(bytes.equals(await get(victim, digest)));
    assert.ok(bytes.equals(await readFile(stored(victim, digest))));
    assert.ok(victim.log.some((line) => line.peer === peer && Number(line.level) >= 40));
    assert.ok((await strikesOf(victim, peer)) > 0);
    const { peers } = await victim.agent.status();
    assert.equal(peers.find((each) => each.id === peer)?.state, 'banned');
  });
}

for (const behaviour of ['stall', 'silent', 'cut', 'missing', 'garbage', 'garbage-control', 'wrong-length'] as const) {
  test(`a peer that does not deliver (${behaviour}): the pull goes on upstream`, async () => {
    const { bytes, digest, victim } = await beside(behaviour);
    const started = performance.now();
    assert.ok(bytes.equals(await get(victim, digest)));
    // One stall time-out of 300 ms, with three times headroom and the pull itself.
    assert.ok(performance.now() - started < 3 * 300 + 3_000);
  });
}

test('a peer that is always busy does not hold a pull', async () => {
  const { bytes, digest, victim, peer } = await beside('busy');
  assert.ok(bytes.equals(await get(victim, digest)));
  assert.equal(await strikesOf(victim, peer), 0);
});

for (const keepsTime of [false, true]) {
  test(`bits flipped on disk${keepsTime ? ', with the file’s time put back' : ''}: no wrong byte leaves, here or to a peer`, async () => {
    const bytes = randomBytes(SIZE);
    const { digest } = upstream.addBlob('library/app', bytes);
    const first = await host();
    await get(first, digest);
    await flip(stored(first, digest), 2 * MIB + 9, keepsTime);

    const second = await host({ peers: first.agent.peerAddresses });
    await connected(second, 1);
    assert.ok(bytes.equals(await get(second, digest)));
    // Not to have what one had is a misfortune, not a lie.
    const { peers } = await second.agent.status();
    assert.equal(peers.find((peer) => peer.id === first.agent.peerId)?.state, 'connected');
    assert.ok(bytes.equals(await get(first, digest)));
    assert.ok(bytes.equals(await readFile(stored(first, digest))));
    assert.ok(first.log.some((line) => line.digest === digest && Number(line.level) >= 40));
  });
}

test('without the network key nothing is exchanged, and it is said once', async () => {
  const first = await host();
  const key = join(first.directory, 'key');
  await writeFile(key, generateNetworkKey());
  const { digest } = upstream.addBlob('library/app', randomBytes(1000));
  await get(first, digest);
  const second = await host({ peers: first.agent.peerAddresses, networkKeyFile: key });
  upstream.forget();
  await until('the handshake has failed', () => second.log.some((line) => Number(line.level) >= 40));
  await get(second, digest);
  assert.equal(upstream.blobGets(digest), 1);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.equal(second.log.filter((line) => Number(line.level) >= 40).length, 1);
  for (const each of [first, second]) {
    const { peers } = await each.agent.status();
    assert.ok(peers.every((peer) => peer.state !== 'connected'));
  }
});

async function flip(file: string, at: number, keepsTime: boolean): Promise<void> {
  const { atime, mtime } = await stat(file);
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte.writeUInt8(byte.readUInt8(0) ^ 0x10);
  await handle.write(byte, 0, 1, at);
  await handle.close();
  if (keepsTime) await utimes(file, atime, mtime);
}
