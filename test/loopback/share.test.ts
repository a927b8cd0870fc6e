import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, type TestContext, test } from 'node:test';
import { base32 } from 'multiformats/bases/base32';
import { create } from 'multiformats/hashes/digest';
import { type Digest, hexOf } from '../../protocol/digest.ts';
import { homeOf } from '../agent/upstream/credentials/fixture.ts';
import { connected, type Host, type HostOptions, startHost, until } from '../support/host.ts';
import { type IndependentPeer, startIndependentPeer } from '../support/independent-peer.ts';
import { hubDoor } from '../support/upstream-doors.ts';
import type { GeneratedImage } from '../support/upstream-image.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;

let hosts: Host[];
let peer: IndependentPeer;
let registry: UpstreamRegistry;
/** Of a registry that lets anybody have `library/…`, and nothing else. */
let open: GeneratedImage;
let closed: GeneratedImage;

beforeEach(async () => {
  hosts = [];
  registry = await startUpstreamRegistry({ door: hubDoor({ username: 'me', password: 'pw' }) });
  open = registry.addImage('library/app', { layers: [3 * MIB, 1000] });
  closed = registry.addImage('group/secret', { layers: [2 * MIB, 2000] });
  peer = await startIndependentPeer({ listen: '/ip4/127.0.0.90/tcp/0' });
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await peer.stop();
  await registry.close();
});

const digestsOf = ({ layers, config, manifest }: GeneratedImage): Digest[] =>
  [...layers, config, manifest].map(({ digest }) => digest);

async function credentialsOf(context: TestContext): Promise<unknown> {
  return { username: 'me', passwordFile: await (await homeOf(context)).file('password', 'pw') };
}

async function enter(settings: Record<string, unknown>, more: Partial<HostOptions> = {}): Promise<Host> {
  const host = await startHost({
    address: `127.0.0.${hosts.length + 2}`,
    upstream: registry.url,
    peers: hosts.flatMap(({ agent }) => agent.peerAddresses),
    config: { registries: { 'docker.io': { endpoints: [registry.url], ...settings } } },
    ...more,
  });
  await connected(host, hosts.length);
  hosts.push(host);
  return host;
}

/** Everything that a stranger who knows the digest hears of it: questions, a chunk's request, and what it was told. */
async function heardOf(host: Host, digest: Digest): Promise<string[]> {
  const answers = await peer.probe(host.agent.peerAddresses[0] ?? '', digest);
  return [...answers.map(({ type }) => String(type)), ...(peer.told.has(digest) ? ['told'] : [])];
}

/** Whether the DHT's records at `host` hold the digest. */
function isInDht(host: Host, digest: Digest): boolean {
  const key = base32.encode(create(0x12, Buffer.from(hexOf(digest), 'hex')).bytes).slice(1);
  const database = new DatabaseSync(join(host.directory, 'store', 'swarm.sqlite'), { readOnly: true });
  try {
    return database.prepare('SELECT 1 FROM entries WHERE key LIKE ?').get(`%/provider/${key}/%`) !== undefined;
  } finally {
    database.close();
  }
}

test('who has no credentials gets the public image from a peer that has, and nothing of the private one', async (context) => {
  const first = await enter({ credentials: await credentialsOf(context) });
  const second = await enter({ credentials: null });
  await peer.announce(first.agent.peerAddresses[0] ?? '');
  assert.ok((await first.pull('group/secret', 'latest')).matches);
  assert.ok((await first.pull('library/app', 'latest')).matches);
  const layer = open.layers[0]?.digest as Digest;
  await until('the public layer is told of', () => peer.told.has(layer));
  // Which is told of it once nothing has come for 30 s.
  await until('and in the DHT', () => isInDht(second, layer), 90_000);

  registry.forget();
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.equal(registry.blobGets(), 0);
  assert.equal(registry.requests.filter(({ kind, method }) => kind === 'manifest' && method === 'GET').length, 0);

  for (const digest of digestsOf(open)) {
    assert.deepEqual(await heardOf(first, digest), ['holding', 'map', 'chunk', 'told'], digest);
  }
  for (const digest of digestsOf(closed)) {
    assert.deepEqual(await heardOf(first, digest), ['missing', 'missing', 'missing'], digest);
    assert.ok(!isInDht(second, digest));
    const path = digest === closed.manifest.digest ? 'manifests' : 'blobs';
    for (const repository of ['group/secret', 'library/app']) {
      const answer = await fetch(`${second.mirror}/v2/${repository}/${path}/${digest}`);
      assert.equal(answer.status, repository === 'group/secret' ? 403 : 404, digest);
      await answer.arrayBuffer();
    }
  }
});

test('a public repository’s first pull is shared, by all who begin at once, and costs each one question', async (context) => {
  const credentials = await credentialsOf(context);
  for (let number = 0; number < 3; number++) await enter({ credentials });
  const pulled = await Promise.all(hosts.map((host) => host.pull('library/app', 'latest')));
  assert.ok(pulled.every(({ matches }) => matches));
  for (const { digest, size } of open.layers) assert.equal(registry.bytesServed(digest), size, 'taken once');
  const gets = registry.requests.filter(
    ({ kind, method, status }) => kind === 'manifest' && method === 'GET' && status === 200,
  );
  assert.equal(gets.length, 1);
  // With a token: once for the tag and once without credentials.
  const heads = registry.requests.filter(
    ({ kind, method, status }) => kind === 'manifest' && method === 'HEAD' && status === 200,
  );
  assert.equal(heads.length, 2 * hosts.length);
});

test('what was found out outlasts a restart', async (context) => {
  const settings = { credentials: await credentialsOf(context), tags: { fresh: '0s' } };
  const { path: directory } = await homeOf(context);
  for (const run of ['first', 'second']) {
    registry.forget();
    const host = await enter(settings, { directory });
    for (const repository of ['library/app', 'group/secret']) {
      assert.ok((await host.pull(repository, 'latest')).matches);
    }
    await hosts.pop()?.stop();
    const tokens = registry.requests.filter(({ kind }) => kind === 'token');
    const anonymous = tokens.filter(({ authorization }) => authorization === undefined);
    assert.equal(anonymous.length > 0, run === 'first');
  }
});

test('a layer that came with a private image first is shared once a public repository gives it to anybody', async (context) => {
  const first = await enter({ credentials: await credentialsOf(context) });
  await peer.announce(first.agent.peerAddresses[0] ?? '');
  const content = registry.blobBytes(open.layers[0]?.digest as Digest);
  const { digest } = registry.addBlob('group/secret', content);
  const { digest: secret } = registry.addBlob('group/secret', Buffer.from('not for everybody'));
  const get = async (path: string): Promise<number> => {
    const answer = await fetch(`${first.mirror}/v2/${path}`);
    await answer.arrayBuffer();
    return answer.status;
  };
  assert.equal(await get('group/secret/manifests/latest'), 200);
  for (const blob of [digest, secret]) assert.equal(await get(`group/secret/blobs/${blob}`), 200);
  // A public manifest that lists what is not there: anybody may push one, where the registry lets them.
  const listing = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: open.manifest.mediaType, layers: [{ digest: secret, size: 17 }] }),
  );
  registry.addManifest('library/trap', open.manifest.mediaType, listing, 'latest');
  assert.equal(await get('library/trap/manifests/latest'), 200);
  for (const repository of ['library/trap', 'library/app'])
    assert.equal(await get(`${repository}/blobs/${secret}`), 200);
  assert.equal(await get('library/app/manifests/latest'), 200);
  await until('the layer is told of', () => peer.told.has(digest));
  await until('the other was asked for', () =>
    registry.requests.some((one) => one.digest === secret && one.repository === 'library/trap' && one.status === 404),
  );
  assert.deepEqual(await heardOf(first, digest), ['holding', 'map', 'chunk', 'told']);
  assert.deepEqual(await heardOf(first, secret), ['missing', 'missing', 'missing']);
});

test('no other registry can say of private content that it is public', async (context) => {
  const liar = await startUpstreamRegistry();
  context.after(() => liar.close());
  const host = await enter(
    {},
    {
      config: {
        registries: {
          'docker.io': { endpoints: [registry.url], credentials: await credentialsOf(context) },
          'liar.example': { endpoints: [liar.url] },
        },
      },
    },
  );
  assert.ok((await host.pull('group/secret', 'latest')).matches);
  // It says to have all that it was told the digest of.
  const { digest } = liar.addManifest('evil/app', closed.manifest.mediaType, closed.manifest.bytes, 'latest');
  for (const layer of closed.layers) liar.addBlob('evil/app', registry.blobBytes(layer.digest));
  assert.equal(digest, closed.manifest.digest);
  const answer = await fetch(`${host.mirror}/v2/evil/app/manifests/latest?ns=liar.example`);
  assert.equal(answer.status, 200);
  await answer.arrayBuffer();
  // Whatever would be asked behind it is, by the time that another question has been answered.
  assert.ok((await host.pull('library/app', 'latest')).matches);
  assert.equal(liar.requests.filter(({ kind }) => kind === 'blob').length, 0);
  for (const one of digestsOf(closed)) assert.deepEqual(await heardOf(host, one), ['missing', 'missing', 'missing']);
});

test('share: all gives peers the private image too; who takes it needs no credentials', async (context) => {
  const credentials = await credentialsOf(context);
  const first = await enter({ credentials, share: 'all' });
  const second = await enter({ credentials: null });
  assert.ok((await first.pull('group/secret', 'latest')).matches);
  const gets = registry.blobGets();
  for (const { digest, size } of closed.layers) {
    const answer = await fetch(`${second.mirror}/v2/group/secret/manifests/${closed.manifest.digest}`);
    assert.equal(answer.status, 200);
    await answer.arrayBuffer();
    const blob = await fetch(`${second.mirror}/v2/group/secret/blobs/${digest}`);
    assert.equal((await blob.arrayBuffer()).byteLength, size);
  }
  assert.equal(registry.blobGets(), gets);
});

test('share: none keeps what anybody may have from peers, and asks them for nothing', async () => {
  const first = await enter({ share: 'none' });
  const second = await enter({});
  const third = await enter({ share: 'none' });
  assert.ok((await first.pull('library/app', 'latest')).matches);
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.equal((await first.agent.status()).traffic.servedBytes, 0);
  for (const digest of digestsOf(open)) {
    const [have, map, chunk] = await heardOf(first, digest);
    assert.deepEqual([have, map, chunk], ['missing', 'missing', 'missing'], digest);
    await until('the other host tells of it', async () => (await heardOf(second, digest))[0] === 'holding');
  }
  const { peers } = await second.agent.status();
  assert.equal(peers.find(({ id }) => id === first.agent.peerId)?.blobs, 0, 'it told of nothing');
  assert.ok((await third.pull('library/app', 'latest')).matches);
  assert.equal((await third.agent.status()).traffic.peerBytes, 0);
});
