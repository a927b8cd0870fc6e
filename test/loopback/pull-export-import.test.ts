import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { hexOf } from '../../protocol/digest.ts';
import { command } from '../agent/cli/support.ts';
import { type Host, until } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';
import type { GeneratedImage } from '../support/upstream-image.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';

/** Nothing listens there: a site without an uplink. */
const NOWHERE = 'http://127.0.0.1:1';

const lan = lanForEachTest();
const { host } = lan;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'layerlan-move-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A command against the agent of `of`. */
function on(of: Host, ...args: string[]) {
  const [address] = of.agent.mirror;
  const set = [`mirror.listen=${address}`, `store.path=${join(of.directory, 'store')}`];
  return command(...args, ...set.flatMap((each) => ['--set', each]));
}

const layout = () => join(directory, 'layout');

/** The only image of the test's own, under an index of two platforms: this machine's amd64, and one for arm64. */
function addTwoPlatforms(): { amd64: GeneratedImage; arm64: GeneratedImage } {
  const amd64 = lan.upstream.addImage('library/two', { layers: [300_000, 20_000], seed: 'amd64', tag: 'only-amd64' });
  const arm64 = lan.upstream.addImage('library/two', { layers: [310_000, 21_000], seed: 'arm64', tag: 'only-arm64' });
  const manifests = [
    { image: amd64, platform: { os: 'linux', architecture: 'amd64' } },
    { image: arm64, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
  ].map(({ image, platform }) => {
    const { digest, bytes } = image.manifest;
    return { mediaType: MANIFEST, digest, size: bytes.length, platform };
  });
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  lan.upstream.addManifest('library/two', INDEX, index, 'latest');
  return { amd64, arm64 };
}

const blobsOf = ({ blobs }: GeneratedImage) => [...blobs.keys()];

test('pulled here, exported to a disk, imported where there is no uplink: a client pulls it by tag and by digest', async () => {
  const image = lan.upstream.addImage('library/app', { layers: [3_000_000, 5000, 100], index: true });
  const near = await host();
  const pulled = await on(near, 'pull', 'app', '--platform', 'linux/amd64', '--json');
  assert.deepEqual([pulled.exit, pulled.err], [0, '']);
  const last = JSON.parse(pulled.out.trim().split('\n').at(-1) ?? '');
  assert.equal(last.state, 'pulled');
  assert.equal(last.image, 'docker.io/library/app:latest');
  assert.equal(last.digest, image.index?.digest);
  assert.deepEqual(last.platforms, ['linux/amd64']);
  assert.deepEqual(last.blobs, { done: 4, of: 4 });
  assert.equal(last.from.upstream, last.bytes.of);
  const again = await on(near, 'pull', 'app', '--platform', 'linux/amd64');
  assert.match(again.out, /^docker\.io\/library\/app:latest is sha256:[0-9a-f]{64}\n[^\n]* held before\n$/);

  lan.upstream.forget();
  const exported = await on(near, 'export', 'app', layout(), '--platform', 'linux/amd64');
  assert.deepEqual([exported.exit, exported.err], [0, '']);
  assert.equal(lan.upstream.blobGets(), 0, 'what is held is exported from the store');
  await near.stop();
  lan.hosts = [];
  await lan.upstream.refuse();

  const far = await host({ upstream: NOWHERE, tags: { fresh: '0s' } });
  const imported = await on(far, 'import', layout());
  assert.deepEqual([imported.exit, imported.err], [0, '']);
  assert.match(imported.out, /^docker\.io\/library\/app:latest is sha256:[0-9a-f]{64}\n/);
  for (const reference of ['latest', image.manifest.digest, `${image.index?.digest}`]) {
    const got = await far.pull('library/app', reference);
    assert.ok(got.matches);
    assert.equal(got.manifest.digest, image.manifest.digest);
    assert.equal(got.blobs.length, 4);
  }
  const told = await fetch(`${far.mirror}/v2/library/app/manifests/latest`);
  assert.match(told.headers.get('warning') ?? '', /^299 /, 'it is not fresh any more, and nobody can be asked');
  await told.body?.cancel();
  await lan.upstream.comeBack();
});

test('a layout has what skopeo, podman and containerd look for, and takes a second image', async () => {
  lan.upstream.addImage('library/app', { layers: [1000], seed: 'a' });
  lan.upstream.addImage('library/web', { layers: [1000, 2000], seed: 'b' });
  const only = await host();
  for (const name of ['app', 'web', 'app']) assert.equal((await on(only, 'export', name, layout())).exit, 0);
  assert.deepEqual((await readdir(layout())).sort(), ['blobs', 'index.json', 'oci-layout']);
  assert.deepEqual(JSON.parse(await readFile(join(layout(), 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
  const index = JSON.parse(await readFile(join(layout(), 'index.json'), 'utf8'));
  assert.deepEqual(
    index.manifests.map((each: { annotations: object }) => each.annotations),
    [
      {
        'io.containerd.image.name': 'docker.io/library/web:latest',
        'org.opencontainers.image.ref.name': 'docker.io/library/web:latest',
      },
      { 'io.containerd.image.name': 'docker.io/library/app:latest', 'org.opencontainers.image.ref.name': 'latest' },
    ],
  );
  // Config, layers and manifest of each.
  assert.equal((await readdir(join(layout(), 'blobs', 'sha256'))).length, 3 + 4);

  await mkdir(join(directory, 'other'));
  await writeFile(join(directory, 'other', 'mine'), '');
  const refused = await on(only, 'export', 'app', join(directory, 'other'));
  assert.equal(refused.exit, 1);
  assert.match(refused.err, /neither empty nor an OCI image layout/);
});

test('a damaged blob and a missing one are refused by their digests; the rest comes in, the image without a name', async () => {
  const image = lan.upstream.addImage('library/app', { layers: [2_500_000, 5000, 700] });
  const whole = lan.upstream.addImage('library/web', { layers: [800], seed: 'web' });
  const near = await host();
  for (const name of ['app', 'web']) assert.equal((await on(near, 'export', name, layout())).exit, 0);
  const [damaged, missing, good] = image.layers.map(({ digest }) => digest);
  const file = join(layout(), 'blobs', 'sha256', hexOf(damaged!));
  const bytes = await readFile(file);
  bytes[1_200_000]! ^= 1;
  await writeFile(file, bytes);
  await rm(join(layout(), 'blobs', 'sha256', hexOf(missing!)));
  // Not named by the index: it is nobody's.
  await writeFile(join(layout(), 'blobs', 'sha256', 'f'.repeat(64)), 'stray');

  lan.hosts = [];
  const far = await host({ upstream: NOWHERE, address: '127.0.0.9' });
  const { exit, out, err } = await on(far, 'import', layout());
  await near.stop();
  assert.equal(exit, 1);
  assert.ok(err.includes(`${damaged} is refused`) && err.includes(`${missing} is refused`), err);
  assert.ok(!err.includes(good!));
  assert.match(out, /^docker\.io\/library\/web:latest is /);
  const status = await far.agent.status();
  // Manifest, config and one layer of the one; manifest, config and layer of the other.
  assert.equal(status.store.blobs, 6);
  assert.deepEqual(await readdir(join(far.directory, 'store', 'partials')), []);
  assert.ok((await far.pull('library/web', 'latest')).manifest.digest === whole.manifest.digest);
  const head = await fetch(`${far.mirror}/v2/library/app/manifests/latest`);
  assert.ok(head.status >= 500, `the tag is not known: ${head.status}`);
  await head.body?.cancel();
});

test('what is imported is for no peer, unless it is shared', async () => {
  lan.upstream.addImage('library/app', { layers: [400_000], seed: 'a' });
  const shared = lan.upstream.addImage('library/web', { layers: [400_000], seed: 'b' });
  const near = await host();
  assert.equal((await on(near, 'export', 'app', layout())).exit, 0);
  assert.equal((await on(near, 'export', 'web', join(directory, 'web'))).exit, 0);
  await near.stop();
  lan.hosts = [];
  const first = await host({ upstream: NOWHERE });
  const second = await host({ upstream: NOWHERE });
  assert.equal((await on(first, 'import', layout())).exit, 0);
  assert.equal((await on(first, 'import', join(directory, 'web'), '--share')).exit, 0);
  await until('the other agent has heard of what is shared, and takes it', () =>
    second.pull('library/web', shared.manifest.digest).then(
      ({ matches }) => matches,
      () => false,
    ),
  );
  const private_ = await (await fetch(`${first.mirror}/v2/library/app/manifests/latest`)).headers;
  const digest = private_.get('docker-content-digest');
  const denied = await fetch(`${second.mirror}/v2/library/app/manifests/${digest}`);
  await denied.body?.cancel();
  assert.ok(denied.status >= 500, `${denied.status}`);
});

test('one host imports and shares, and a fleet without an uplink pulls by tag', async () => {
  const image = lan.upstream.addImage('library/app', { layers: [400_000] });
  const near = await host();
  assert.equal((await on(near, 'export', 'app', layout())).exit, 0);
  await near.stop();
  lan.hosts = [];
  const networkKeyFile = join(directory, 'network.key');
  assert.equal((await command('key', networkKeyFile)).exit, 0);
  const fleet = { upstream: NOWHERE, networkKeyFile, tags: { fromPeers: 'when-offline' } };
  const first = await host(fleet);
  const second = await host(fleet);
  assert.equal((await on(first, 'import', layout(), '--share')).exit, 0);
  await until('the other host pulls the tag', () =>
    second.pull('library/app', 'latest').then(
      ({ matches, manifest }) => matches && manifest.digest === image.manifest.digest,
      () => false,
    ),
  );
});

test('only who can read the owner’s key may import', async () => {
  lan.upstream.addImage('library/app', { layers: [1000] });
  const only = await host();
  assert.equal((await on(only, 'export', 'app', layout())).exit, 0);
  const [address] = only.agent.mirror;
  const elsewhere = ['--set', `mirror.listen=${address}`, '--set', `store.path=${directory}`];
  const noKey = await command('import', layout(), ...elsewhere);
  assert.deepEqual([noKey.exit, noKey.out], [1, '']);
  assert.match(noKey.err, /owner\.key cannot be read: ENOENT/);
  await writeFile(join(directory, 'owner.key'), 'f'.repeat(64));
  const wrongKey = await command('import', layout(), ...elsewhere);
  assert.equal(wrongKey.exit, 1);
  assert.match(wrongKey.err, /may import/);
});

test('a platform of an index is all that is fetched, by a client and by pull alike', async () => {
  const { amd64, arm64 } = addTwoPlatforms();
  const client = await host();
  assert.ok((await client.pull('library/two', 'latest')).matches);
  for (const digest of blobsOf(amd64)) assert.equal(lan.upstream.blobGets(digest), 1);
  for (const digest of blobsOf(arm64)) assert.equal(lan.upstream.blobGets(digest), 0);
  const asked = lan.upstream.requests.filter(
    ({ kind, digest }) => kind === 'manifest' && digest === arm64.manifest.digest,
  );
  assert.deepEqual(asked, []);

  lan.upstream.forget();
  lan.hosts = [];
  const puller = await host({ address: '127.0.0.8' });
  const { exit, out } = await on(puller, 'pull', 'two', '--platform', 'linux/arm64', '--json');
  await client.stop();
  assert.equal(exit, 0);
  assert.deepEqual(JSON.parse(out.trim().split('\n').at(-1) ?? '').platforms, ['linux/arm64/v8']);
  for (const digest of blobsOf(amd64)) assert.equal(lan.upstream.blobGets(digest), 0);
  for (const digest of blobsOf(arm64)) assert.equal(lan.upstream.blobGets(digest), 1);
  // The other platform comes with `all`, and what is held is not fetched again.
  assert.equal((await on(puller, 'pull', 'two', '--platform', 'all')).exit, 0);
  for (const digest of [...blobsOf(amd64), ...blobsOf(arm64)]) assert.equal(lan.upstream.blobGets(digest), 1);
  const none = await on(puller, 'pull', 'two', '--platform', 'linux/s390x');
  assert.equal(none.exit, 1);
  assert.match(none.err, /nothing for linux\/s390x; it has linux\/amd64, linux\/arm64\/v8\n$/);
});

test('pull says what came from peers, and what it cannot have in one line', async () => {
  const image = lan.upstream.addImage('library/app', { layers: [2_000_000] });
  const first = await host();
  await first.pull('library/app', 'latest');
  lan.upstream.forget();
  const second = await host();
  const { exit, out } = await on(second, 'pull', 'app', '--json');
  assert.equal(exit, 0);
  const { from } = JSON.parse(out.trim().split('\n').at(-1) ?? '');
  assert.equal(lan.upstream.blobGets(), 0);
  assert.ok(from.peers >= 2_000_000 && from.held === 0, JSON.stringify(from));
  assert.ok((await second.pull('library/app', image.manifest.digest)).matches);

  const missing = await on(second, 'pull', 'no/such:tag');
  assert.deepEqual([missing.exit, missing.out], [1, '']);
  assert.match(missing.err, /^layerlan: docker\.io\/no\/such:tag: [^\n]+\n$/);
  lan.upstream.addImage('library/broken', { layers: [3_000_000], seed: 'broken' });
  lan.upstream.misbehave({ kind: 'status', on: 'blob', status: 404 });
  const broken = await on(second, 'pull', 'broken');
  assert.equal(broken.exit, 1);
  assert.match(broken.err, /^layerlan: docker\.io\/library\/broken:latest: [^\n]+\n$/);
});

test('a store without room says so', async () => {
  lan.upstream.addImage('library/app', { layers: [70_000_000] });
  const only = await host({ config: { store: { maxSize: '33MiB' } } });
  const { exit, err } = await on(only, 'pull', 'app');
  assert.equal(exit, 1);
  assert.match(err, /not stored: .*store\.maxSize/);
});

test('a pull that nobody waits for any more ends', async () => {
  lan.upstream.addImage('library/app', { layers: [30_000_000] });
  const only = await host({ config: { limits: { upstream: '100KiB' } } });
  const over = new AbortController();
  const answer = await fetch(`${only.mirror}/agent/pull?image=app`, { method: 'POST', signal: over.signal });
  const reader = answer.body!.getReader();
  await reader.read();
  over.abort();
  await until('upstream is let go', () => lan.upstream.requests.every(({ closed }) => closed));
});

test('of a repository that is skipped everything passes, and nothing stays or is told of', async () => {
  lan.upstream.addImage('library/app', { layers: [3_000_000, 5000], index: true });
  lan.upstream.addImage('library/kept', { layers: [4000], seed: 'kept' });
  const only = await host({ config: { store: { skip: ['docker.io/library/app'] } } });
  const peer = await host();
  for (const _ of [1, 2]) assert.ok((await only.pull('library/app', 'latest')).matches);
  assert.equal((await only.agent.status()).store.blobs, 0);
  assert.deepEqual(await readdir(join(only.directory, 'store', 'partials')), []);
  assert.ok((await only.pull('library/kept', 'latest')).matches);
  assert.equal((await only.agent.status()).store.blobs, 3);
  const { exit, err } = await on(only, 'pull', 'app');
  assert.equal(exit, 1);
  assert.match(err, /not stored: store\.keep and store\.skip leave docker\.io\/library\/app out/);

  // The other agent has nobody to take it from but upstream; then this one passes it on from there.
  lan.upstream.forget();
  assert.ok((await peer.pull('library/app', 'latest')).matches);
  assert.ok(lan.upstream.blobGets() > 0);
  await until('the peer, which holds it, is what it is taken from', async () => {
    lan.upstream.forget();
    assert.ok((await only.pull('library/app', 'latest')).matches);
    return lan.upstream.blobGets() === 0;
  });
  assert.equal((await only.agent.status()).store.blobs, 3);
});
