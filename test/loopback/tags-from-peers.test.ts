import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type AskedTag, type SignedTag, tagStatement } from '../../protocol/tag-record.ts';
import { connected, type Host, type HostOptions, startHost } from '../support/host.ts';
import { type HostilePeer, startHostilePeer, type TagSigner } from '../support/hostile-peer.ts';
import { type GeneratedImage, generateImage } from '../support/upstream-image.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MINUTE = 60_000;
/** Somebody who is not here. */
const ELSEWHERE = '12D3KooWA2HyWRJ8CRoAsYnmVDjSbZRUBgyxVFmyTvKjgJUdJ2VK';

let upstream: UpstreamRegistry;
let hosts: Host[];
let peers: HostilePeer[];
let directory: string;
let networkKeyFile: string;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  hosts = [];
  peers = [];
  directory = await mkdtemp(join(tmpdir(), 'layerlan-tags-from-peers-'));
  networkKeyFile = join(directory, 'key');
  await writeFile(networkKeyFile, `${'0f'.repeat(32)}\n`);
});

afterEach(async () => {
  await Promise.all([...hosts, ...peers].map((each) => each.stop()));
  await upstream.close();
  await rm(directory, { recursive: true, force: true });
});

/** A host that is connected to all that are there. */
async function host(over: Partial<HostOptions> = {}): Promise<Host> {
  const dialled = [
    ...hosts.flatMap(({ agent }) => agent.peerAddresses),
    ...peers.flatMap(({ addresses }) => addresses),
  ];
  const address = `127.0.0.${hosts.length + 2}`;
  const started = await startHost({ address, upstream: upstream.url, peers: dialled, ...over });
  hosts.push(started);
  await connected(started, (over.peers ?? dialled).length);
  return started;
}

/** A peer without a network key that says of every tag what `tag` makes. It holds `blobs`. */
async function peer(
  tag: (asked: AskedTag, self: TagSigner) => SignedTag | undefined,
  blobs: readonly Uint8Array[] = [],
): Promise<HostilePeer> {
  const listen = [`/ip4/127.0.1.${peers.length + 2}/tcp/0`];
  const started = await startHostilePeer({ listen, behaviour: 'honest', blobs, tag });
  peers.push(started);
  return started;
}

/** What `self` says that a tag is: this image, as of `age` milliseconds ago. */
function says(image: GeneratedImage, asked: AskedTag, self: TagSigner, age: number): SignedTag {
  const { digest, mediaType, bytes } = image.manifest;
  const checked = { accept: asked.accept, digest, mediaType, size: bytes.length, checkedAt: Date.now() - age };
  return { ...checked, signer: self.peerId, signature: self.signing.sign(tagStatement(asked, checked)) };
}

/** An image that upstream never had. */
const planted = generateImage({ layers: [10], seed: 'planted' });
const other = generateImage({ layers: [10], seed: 'another' });

const ask = (of: Host, method = 'GET', tag = 'latest', repository = 'library/app') =>
  fetch(`${of.mirror}/v2/${repository}/manifests/${tag}`, { method, headers: { accept: '*/*' } });
const toldBy = (answer: Response) => answer.headers.get('docker-content-digest');

async function answered(of: Host): Promise<Record<string, number>> {
  const { values } = await of.agent.metrics.tagAnswers.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.answer), value]));
}

async function strikes(of: Host): Promise<Record<string, number>> {
  const { values } = await of.agent.metrics.strikes.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.offence), value]));
}

test('upstream away: a host that never saw the tag has it from one with its network key, with a warning', async () => {
  const image = upstream.addImage('library/app', { layers: [100_000, 1000], index: true });
  const first = await host({ networkKeyFile });
  assert.ok((await first.pull('library/app', 'latest')).matches);
  const second = await host({ networkKeyFile, tags: { fromPeers: 'when-offline' } });
  await upstream.refuse();
  const pulled = await second.pull('library/app', 'latest');
  assert.ok(pulled.matches);
  assert.equal(pulled.manifest.digest, image.manifest.digest);
  for (const method of ['GET', 'HEAD']) {
    const answer = await ask(second, method);
    assert.equal(answer.status, 200);
    assert.match(
      answer.headers.get('warning') ?? '',
      new RegExp(
        `^299 - "What this tag means is the word of peer ${first.agent.peerId}; it was last checked [0-9]+ s ago\\."$`,
      ),
    );
  }
  assert.deepEqual(await answered(second), { peer: 3 });
  // It has signed for nothing that it did not see itself: without the first nobody knows.
  const third = await host({ networkKeyFile, peers: second.agent.peerAddresses, tags: { fromPeers: 'when-offline' } });
  assert.equal((await ask(third)).status, 502);
});

test('unless it is set so, no peer is asked, nor believed', async () => {
  const witness = await peer((asked, self) => says(planted, asked, self, 0), [planted.manifest.bytes]);
  for (const tags of [{}, { trust: [witness.peerId] }]) {
    const only = await host({ tags });
    await upstream.refuse();
    assert.equal((await ask(only)).status, 502);
    await upstream.comeBack();
    assert.equal((await ask(only)).status, 404);
  }
  assert.deepEqual(witness.tagsAsked, []);
});

test('without a network key those who are named are believed, and nobody else is even asked', async () => {
  const stranger = await peer((asked, self) => says(planted, asked, self, 0), [planted.manifest.bytes]);
  const named = await peer((asked, self) => says(other, asked, self, MINUTE), [other.manifest.bytes]);
  await upstream.refuse();
  const only = await host({ tags: { fromPeers: 'when-offline', trust: [named.peerId] } });
  assert.equal(toldBy(await ask(only)), other.manifest.digest);
  const nobodys = await host({ tags: { fromPeers: 'always', trust: [ELSEWHERE] } });
  assert.equal((await ask(nobodys)).status, 502);
  assert.deepEqual(stranger.tagsAsked, []);
  assert.equal(named.tagsAsked.length, 1);
});

test('an agent answers peers by default, key or none', async () => {
  const image = upstream.addImage('library/app', { layers: [1000] });
  const first = await host();
  await first.pull('library/app', 'latest');
  await upstream.refuse();
  const second = await host({ tags: { fromPeers: 'when-offline', trust: [first.agent.peerId] } });
  const pulled = await second.pull('library/app', 'latest');
  assert.ok(pulled.matches);
  assert.equal(pulled.manifest.digest, image.manifest.digest);
});

test('a false tag that is dated ahead gets nowhere, whether upstream answers or not', async () => {
  const image = upstream.addImage('library/app', { layers: [1000] });
  const hostile = await peer((asked, self) => says(planted, asked, self, -MINUTE - 5_000), [planted.manifest.bytes]);
  const only = await host({ tags: { fromPeers: 'always', fresh: '0s', immutable: ['v*'], trust: [hostile.peerId] } });
  const answer = await ask(only);
  assert.equal(toldBy(answer), image.manifest.digest);
  assert.equal(answer.headers.get('warning'), null);
  assert.equal((await ask(only, 'GET', 'v1')).status, 404);
  await upstream.refuse();
  const stale = await ask(only);
  assert.equal(toldBy(stale), image.manifest.digest);
  assert.match(stale.headers.get('warning') ?? '', /cannot be asked now/);
  assert.equal((await ask(only, 'GET', 'v1')).status, 502);
  assert.ok(hostile.tagsAsked.length >= 4);
  // A clock may be wrong, this host's too.
  assert.deepEqual(await strikes(only), {});
  assert.ok(only.log.some(({ flaw, peer }) => flaw === 'ahead' && peer === hostile.peerId));
});

test('a clock that is less than a minute ahead is taken for what it is', async () => {
  const ahead = await peer((asked, self) => says(other, asked, self, 5_000 - MINUTE), [other.manifest.bytes]);
  for (const fromPeers of ['when-offline', 'always']) {
    const only = await host({ tags: { fromPeers, trust: [ahead.peerId] } });
    // Where it is there it has no such tag.
    if (fromPeers === 'when-offline') await upstream.refuse();
    else await upstream.comeBack();
    const answer = await ask(only);
    assert.equal(toldBy(answer), other.manifest.digest, fromPeers);
    assert.match(answer.headers.get('warning') ?? '', / 0 s ago\."$/);
  }
});

test('a forged signature is a lie', async () => {
  await upstream.refuse();
  const liar = await peer(
    (asked, self) => {
      const told = says(planted, asked, self, 0);
      return { ...told, digest: other.manifest.digest };
    },
    [planted.manifest.bytes, other.manifest.bytes],
  );
  const only = await host({ tags: { fromPeers: 'always', trust: [liar.peerId] } });
  assert.equal((await ask(only)).status, 502);
  assert.deepEqual(await strikes(only), { lied: 1 });
});

test('an answer to another question is a lie too', async () => {
  await upstream.refuse();
  const liar = await peer((asked, self) => says(planted, { ...asked, tag: 'v1' }, self, 0), [planted.manifest.bytes]);
  const only = await host({ tags: { fromPeers: 'always', trust: [liar.peerId] } });
  assert.equal((await ask(only)).status, 502);
  assert.deepEqual(await strikes(only), { lied: 1 });
});

test('what somebody else signed is not believed, whoever passes it on', async () => {
  await upstream.refuse();
  const stranger = await peer(() => undefined, [planted.manifest.bytes]);
  let signed: SignedTag | undefined;
  const source = await peer((asked, self) => {
    signed = says(planted, asked, self, 0);
    return undefined;
  });
  const relay = await peer(() => signed, [planted.manifest.bytes]);
  const only = await host({ tags: { fromPeers: 'when-offline', trust: [source.peerId, relay.peerId] } });
  assert.equal((await ask(only)).status, 502);
  assert.equal(signed?.signer, source.peerId);
  assert.equal((await ask(only)).status, 502);
  assert.equal((await strikes(only)).lied, undefined);
  assert.ok(only.log.some(({ flaw, peer }) => flaw === 'relayed' && peer === relay.peerId));
  assert.deepEqual(stranger.tagsAsked, []);
});

test('the newest word wins: over an old one that is played again, and over what was known here', async () => {
  const image = upstream.addImage('library/app', { layers: [1000] });
  const old = await peer((asked, self) => says(planted, asked, self, 10 * MINUTE), [planted.manifest.bytes]);
  let age = 5 * MINUTE;
  const newer = await peer((asked, self) => says(other, asked, self, age), [other.manifest.bytes]);
  const only = await host({ tags: { fromPeers: 'when-offline', fresh: '0s', trust: [old.peerId, newer.peerId] } });
  await upstream.refuse();
  const answer = await ask(only);
  assert.equal(toldBy(answer), other.manifest.digest);
  assert.match(answer.headers.get('warning') ?? '', new RegExp(`${newer.peerId}; it was last checked 30[0-9] s ago`));
  await upstream.comeBack();
  assert.equal(toldBy(await ask(only)), image.manifest.digest);
  await upstream.refuse();
  // What upstream told this host itself is newer now.
  assert.equal(toldBy(await ask(only)), image.manifest.digest);
  age = 0;
  assert.equal(toldBy(await ask(only)), other.manifest.digest);
});

test('always: upstream is not asked while a peer’s word is fresh, nor ever for what never moves', async () => {
  const image = upstream.addImage('library/app', { layers: [1000] });
  let age = MINUTE / 2;
  const trusted = await peer((asked, self) => says(other, asked, self, age), [other.manifest.bytes]);
  const only = await host({ tags: { fromPeers: 'always', immutable: ['v*'], trust: [trusted.peerId] } });
  upstream.forget();
  assert.equal(toldBy(await ask(only)), other.manifest.digest);
  age = 1000 * MINUTE;
  assert.equal(toldBy(await ask(only, 'HEAD', 'v1')), other.manifest.digest);
  assert.deepEqual(
    upstream.requests.filter(({ path }) => path.includes('/manifests/')),
    [],
  );
  const answer = await ask(only);
  assert.equal(toldBy(answer), image.manifest.digest);
  assert.equal(answer.headers.get('warning'), null);
  assert.deepEqual(await answered(only), { peer: 2, checked: 1 });
});

for (const [status, told] of [
  [404, 404],
  [403, 403],
] as const) {
  test(`upstream's ${status} is told, whatever a peer says`, async () => {
    upstream.addImage('library/app', { layers: [1000] });
    upstream.misbehave({ kind: 'status', status, on: 'manifest' });
    const trusted = await peer((asked, self) => says(other, asked, self, 0), [other.manifest.bytes]);
    const only = await host({ tags: { fromPeers: 'when-offline', trust: [trusted.peerId] } });
    assert.equal((await ask(only)).status, told);
    assert.deepEqual(trusted.tagsAsked, []);
  });
}

test('a word whose manifest nobody has, or that is none, is worth nothing', async () => {
  const image = upstream.addImage('library/app', { layers: [1000] });
  const layer = Buffer.from('no manifest');
  for (const blobs of [[], [layer]]) {
    const digest = blobs.length === 0 ? planted.manifest.digest : undefined;
    const trusted = await peer((asked, self) => {
      const named = digest ?? trusted.digests[0];
      assert.ok(named !== undefined);
      return says({ ...planted, manifest: { ...planted.manifest, digest: named } }, asked, self, 0);
    }, blobs);
    const only = await host({ tags: { fromPeers: 'always', trust: [trusted.peerId] } });
    const answer = await ask(only);
    assert.equal(toldBy(answer), image.manifest.digest);
    assert.equal(answer.headers.get('warning'), null);
    assert.equal(trusted.tagsAsked.length, 1);
  }
});

test('peers that say nothing hold nobody up for long', async () => {
  const image = upstream.addImage('library/app', { layers: [1000] });
  const listen = ['/ip4/127.0.1.2/tcp/0'];
  const deaf = await startHostilePeer({ listen, behaviour: 'deaf', blobs: [] });
  peers.push(deaf);
  const only = await host({ tags: { fromPeers: 'always', fresh: '0s', trust: [deaf.peerId] } });
  assert.equal(toldBy(await ask(only)), image.manifest.digest);
  await upstream.refuse();
  assert.equal(toldBy(await ask(only)), image.manifest.digest);
});

test('what may be private is neither asked of peers nor told to them', async () => {
  upstream.addImage('library/app', { layers: [1000] });
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, 'secret\n');
  const config = (over: Record<string, unknown>) => ({
    registries: {
      'docker.io': {
        endpoints: [upstream.url],
        credentials: { username: 'puller', passwordFile },
        ...over,
      },
    },
  });
  const witness = await peer((asked, self) => says(planted, asked, self, 0), [planted.manifest.bytes]);
  const first = await host({ config: config({ tags: { fromPeers: 'always', fresh: '0s', trust: [witness.peerId] } }) });
  assert.ok((await first.pull('library/app', 'latest')).matches);
  assert.deepEqual(witness.tagsAsked, []);
  await upstream.refuse();
  const second = await host({ tags: { fromPeers: 'when-offline', trust: [first.agent.peerId] } });
  assert.equal((await ask(second)).status, 502);
});
