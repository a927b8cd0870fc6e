import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { connected, type Host, startHost, until } from '../support/host.ts';
import { type IndependentPeer, startIndependentPeer } from '../support/independent-peer.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const SIZE = 5 * MIB + 321;
const PEER_ADDRESS = '/ip4/127.0.0.70/tcp/0';

let upstream: UpstreamRegistry;
let host: Host | undefined;
let peer: IndependentPeer | undefined;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
});

afterEach(async () => {
  await host?.stop();
  await peer?.stop();
  host = undefined;
  peer = undefined;
  await upstream.close();
});

async function get(from: Host, digest: string): Promise<Buffer> {
  const response = await fetch(`${from.mirror}/v2/library/app/blobs/${digest}`);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

test('a peer written from the document takes a blob from an agent', async () => {
  const blob = randomBytes(SIZE);
  const { digest } = upstream.addBlob('library/app', blob);
  host = await startHost({ upstream: upstream.url });
  assert.ok(blob.equals(await get(host, digest)));
  const [address = ''] = host.agent.peerAddresses;

  peer = await startIndependentPeer({ listen: PEER_ADDRESS });
  assert.ok(blob.equals(await peer.fetch(address, digest, SIZE)));
  assert.equal((await peer.have(address, `sha256:${'0'.repeat(64)}`)).type, 'missing');
  const { peers, traffic } = await host.agent.status();
  assert.equal(traffic.servedBytes, SIZE);
  assert.equal(peers.find(({ id }) => id === peer?.id)?.strikes, 0);
});

test('an agent takes a blob from a peer written from the document, and both keep strangers out by one key', async () => {
  const blob = randomBytes(SIZE);
  const { digest } = upstream.addBlob('library/app', blob);
  const networkKey = randomBytes(32);
  peer = await startIndependentPeer({ listen: PEER_ADDRESS, networkKey });
  assert.equal(peer.hold(blob), digest);

  const directory = await mkdtemp(join(tmpdir(), 'layerlan-key-'));
  const networkKeyFile = join(directory, 'key');
  await writeFile(networkKeyFile, `${networkKey.toString('hex')}\n`);
  try {
    host = await startHost({ upstream: upstream.url, peers: peer.addresses, networkKeyFile });
    await connected(host, 1);
    assert.ok(blob.equals(await get(host, digest)));
    assert.equal(upstream.blobGets(), 0);
    assert.equal(peer.chunksServed, 6);
    assert.ok(blob.equals(await readFile(join(host.directory, 'store', 'blobs', ...digest.split(':')))));
    assert.equal((await host.agent.status()).peers.find(({ id }) => id === peer?.id)?.strikes, 0);

    const stranger = await startIndependentPeer({ listen: '/ip4/127.0.0.71/tcp/0' });
    try {
      const [address = ''] = host.agent.peerAddresses;
      await assert.rejects(stranger.have(address, digest), { name: 'EncryptionFailedError' });
    } finally {
      await stranger.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('an agent and a peer written from the document take one blob together, in both directions', async () => {
  const blob = randomBytes(8 * MIB + 321);
  const chunk = (index: number) => blob.subarray(index * MIB, (index + 1) * MIB);
  const { digest } = upstream.addBlob('library/app', blob);
  host = await startHost({ upstream: upstream.url });
  const [address = ''] = host.agent.peerAddresses;
  peer = await startIndependentPeer({ listen: PEER_ADDRESS });
  const taking = await peer.take(address, digest, blob.length);

  // The peer has the first half from upstream, as it were.
  for (const index of [0, 1, 2, 3]) await taking.put(index, chunk(index));
  // Answered behind what was told before it.
  assert.equal((await peer.have(address, digest)).type, 'missing');
  const pulled = get(host, digest);
  for (let missing = [4, 5, 6, 7, 8]; missing.length > 0; ) {
    const isGiven = (index: number) => taking.theirs?.marks.has(index) === true;
    await until('the agent has more', () => missing.some(isGiven));
    const given = missing.filter(isGiven);
    for (const index of given) assert.equal(await taking.get(index), host.agent.peerId);
    missing = missing.filter((index) => !given.includes(index));
  }
  assert.ok(blob.equals(taking.whole()));
  assert.ok(blob.equals(await pulled));
  const { peers, traffic } = await host.agent.status();
  assert.equal(traffic.upstreamBytes, blob.length - 4 * MIB);
  assert.equal(peer.chunksServed, 4);
  assert.equal(peers.find(({ id }) => id === peer?.id)?.strikes, 0);
  // Nobody lacks anything any more.
  await until('the agent leaves', () => taking.heard.at(-1)?.type === 'left');
  taking.leave();
});
