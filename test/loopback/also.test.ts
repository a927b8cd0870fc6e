import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Digest } from '../../protocol/digest.ts';
import { blobPath, blobsOf, putBlob } from '../support/blobs-on-disk.ts';
import { type Host, type HostOptions, until } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';
import { hubDoor } from '../support/upstream-doors.ts';
import type { GeneratedImage } from '../support/upstream-image.ts';
import { startUpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const LAYERS = [3 * MIB + 11, MIB, 1000];
/** Manifest, config and layers. */
const BLOBS = LAYERS.length + 2;

const lan = lanForEachTest();
let elsewhere: string;

beforeEach(async () => {
  elsewhere = await mkdtemp(join(tmpdir(), 'layerlan-elsewhere-'));
});

afterEach(async () => {
  await rm(elsewhere, { recursive: true, force: true });
});

/** A host that is given what others hold. */
async function host(also: readonly unknown[] = [], over: Partial<HostOptions> = {}): Promise<Host> {
  const directory = join(elsewhere, `host-${lan.hosts.length}`);
  await mkdir(directory);
  return await lan.host({ directory, config: { store: { path: join(directory, 'store'), also } }, ...over });
}

const storeOf = async (of: Host) => (await of.agent.status()).store;
const served = async (of: Host) => (await of.agent.status()).traffic.servedBytes;

function holds(of: Host, blobs: number): Promise<void> {
  return until(`${blobs} blobs held elsewhere`, async () => {
    const { also } = await storeOf(of);
    return also?.blobs === blobs && also.waiting === 0;
  });
}

/** The image's files in an OCI layout. */
async function layout(image: GeneratedImage): Promise<string> {
  const root = join(elsewhere, 'layout');
  for (const [digest, bytes] of blobsOf(image)) await putBlob('oci', root, digest, bytes);
  return root;
}

test('a layout serves this host’s clients without a copy, and peers once the image is known to be public', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const first = await host([{ oci: await layout(image) }]);
  await holds(first, BLOBS);
  assert.ok((await first.pull('library/app', 'latest')).matches);
  assert.deepEqual(
    lan.upstream.requests.map(({ method, kind }) => `${method} ${kind}`),
    ['HEAD manifest'],
  );
  const { blobs, bytes } = await storeOf(first);
  assert.deepEqual({ blobs, bytes }, { blobs: 0, bytes: 0 });

  lan.upstream.forget();
  const second = await host();
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), 0);
  assert.ok((await served(first)) >= LAYERS.reduce((sum, size) => sum + size, 0));
});

test('what nobody knows to be public no peer gets, by digest neither', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const first = await host([{ oci: await layout(image) }]);
  await holds(first, BLOBS);
  // By digest, no registry has said a word of it.
  assert.ok((await first.pull('library/app', image.manifest.digest)).matches);
  assert.deepEqual(lan.upstream.requests, []);
  const second = await host();
  assert.ok((await second.pull('library/app', image.manifest.digest)).matches);
  assert.equal(lan.upstream.blobGets(), LAYERS.length + 1);
  assert.equal(await served(first), 0);
});

test('what came with credentials is not shared, though a manifest of that registry names it', async () => {
  const account = { username: 'me', password: 'secret' };
  await lan.upstream.close();
  lan.upstream = await startUpstreamRegistry({ door: hubDoor(account) });
  const image = lan.upstream.addImage('group/secret', { layers: LAYERS });
  const passwordFile = join(elsewhere, 'password');
  await writeFile(passwordFile, account.password);
  const root = await layout(image);
  const registries = {
    'docker.io': { endpoints: [lan.upstream.url], credentials: { username: account.username, passwordFile } },
  };
  const first = await host([], { config: { store: { also: [{ oci: root }] }, registries } });
  await holds(first, BLOBS);
  for (let pulls = 0; pulls < 2; pulls++) assert.ok((await first.pull('group/secret', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), 0);
  const second = await host([], { config: { registries } });
  assert.ok((await second.pull('group/secret', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), LAYERS.length + 1);
  assert.equal(await served(first), 0);
});

test('share: all gives peers whatever lies there', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const root = await layout(image);
  const first = await host([{ oci: root, share: 'all' }]);
  await holds(first, BLOBS);
  const second = await host();
  assert.ok((await second.pull('library/app', image.manifest.digest)).matches);
  assert.deepEqual(lan.upstream.requests, []);
});

test('containerd’s content store: waited for, followed as it comes and goes, its ingests left alone', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const root = join(elsewhere, 'containerd');
  const first = await host([{ containerd: root }]);
  assert.ok((await first.pull('library/app', 'latest')).matches);
  assert.ok(lan.upstream.blobGets() > 0);

  const content = join(root, 'io.containerd.content.v1.content');
  const half = [...image.blobs.keys()][0]!;
  await mkdir(join(content, 'ingest', 'half'), { recursive: true });
  await writeFile(join(content, 'ingest', 'half', 'data'), 'half of it');
  await writeFile(join(content, 'ingest', 'half', 'ref'), half);
  const all = blobsOf(image);
  for (const [digest, bytes] of all) await putBlob('containerd', root, digest, bytes);
  await holds(first, BLOBS);

  for (const digest of all.keys()) await rm(blobPath('containerd', root, digest));
  await holds(first, 0);
  await putBlob('containerd', root, half, all.get(half)!);
  await holds(first, 1);
  // containerd is set up anew, in another directory of the same name.
  await rename(root, `${root}-before`);
  await holds(first, 0);
  for (const [digest, bytes] of all) await putBlob('containerd', root, digest, bytes);
  await holds(first, BLOBS);
});

test('a file with other bytes than its name says is never served', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const root = await layout(image);
  const [false1, false2] = image.layers.map(({ digest }) => digest) as [Digest, Digest];
  const wrong = Buffer.from(blobsOf(image).get(false1)!);
  wrong[wrong.length - 1]! ^= 1;
  await writeFile(blobPath('oci', root, false1), wrong);
  await writeFile(blobPath('oci', root, false2), 'short');
  const first = await host([{ oci: root, share: 'all' }]);
  await holds(first, BLOBS - 2);
  const second = await host();
  for (const each of [second, first]) assert.ok((await each.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(false1), 1);
  assert.equal(lan.upstream.blobGets(false2), 1);
  assert.equal(lan.upstream.blobGets(), 2);
});

test('removed, or changed, at the moment it is wanted: the pull is right, with upstream’s bytes', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const root = await layout(image);
  const first = await host([{ oci: root }]);
  await holds(first, BLOBS);
  const [gone, changed] = image.layers.map(({ digest }) => digest) as [Digest, Digest];
  await rm(blobPath('oci', root, gone));
  const wrong = Buffer.from(blobsOf(image).get(changed)!);
  wrong[0]! ^= 1;
  await writeFile(blobPath('oci', root, changed), wrong);
  assert.ok((await first.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(gone), 1);
  assert.equal(lan.upstream.blobGets(changed), 1);
  assert.equal(lan.upstream.blobGets(), 2);
  await holds(first, BLOBS - 2);
  // A whole layout that goes takes nothing of what was pulled along.
  await rm(dirname(dirname(blobPath('oci', root, gone))), { recursive: true });
  await holds(first, 0);
  assert.ok((await first.pull('library/app', 'latest')).matches);
});
