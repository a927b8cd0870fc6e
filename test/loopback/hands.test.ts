import assert from 'node:assert/strict';
import { open, readdir, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { algorithmOf, type Digest, hexOf } from '../../protocol/digest.ts';
import { command, type Ran } from '../agent/cli/support.ts';
import { generatedContent } from '../support/content.ts';
import { type Host, until } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';
import type { GeneratedImage } from '../support/upstream-image.ts';

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

const lan = lanForEachTest();
const { host } = lan;

/** Runs a command of the operator's against `of`. */
const run = (of: Host, ...args: string[]): Promise<Ran> =>
  command(...args, '--set', `mirror.listen=${of.agent.mirror[0]}`);

async function lines(of: Host, ...args: string[]): Promise<Record<string, unknown>[]> {
  const { exit, out, err } = await run(of, ...args, '--json');
  assert.deepEqual({ exit, err }, { exit: 0, err: '' }, args.join(' '));
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

const fileOf = (of: Host, digest: Digest): string =>
  join(of.directory, 'store', 'blobs', algorithmOf(digest), hexOf(digest));

/** What the disk says, not the agent. */
async function onDisk(of: Host): Promise<string[]> {
  return (await readdir(join(of.directory, 'store', 'blobs', 'sha256'))).map((hex) => `sha256:${hex}`).sort();
}

async function flipBit(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    const at = Math.floor((await file.stat()).size / 2);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([byte[0]! ^ 1]), 0, 1, at);
  } finally {
    await file.close();
  }
}

/** Two images of which the first layer is the same. */
function twoImages(): { a: GeneratedImage; b: { manifest: Digest; own: Digest; config: Digest }; shared: Digest } {
  const a = lan.upstream.addImage('library/a', { layers: [300_000, 200_000], tag: 'v1', index: true });
  const [shared] = a.layers;
  lan.upstream.addBlob('library/b', generatedContent('layerlan/0', 300_000));
  const own = lan.upstream.addBlob('library/b', generatedContent('own', 100_000));
  const config = lan.upstream.addBlob('library/b', Buffer.from('{"os":"linux","architecture":"amd64"}'));
  const body = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: [shared, own] };
  const manifest = lan.upstream.addManifest('library/b', MANIFEST_TYPE, Buffer.from(JSON.stringify(body)), 'v2');
  return { a, b: { manifest: manifest.digest, own: own.digest, config: config.digest }, shared: shared!.digest };
}

test('what is held is listed by image and by blob, with what the neighbours have', async () => {
  const { a, shared } = twoImages();
  const first = await host();
  await first.pull('library/a', 'v1');
  await first.pull('library/b', 'v2');
  const second = await host();
  await second.pull('library/b', 'v2');
  await until('the neighbour told of it', async () => {
    const [, b] = await lines(first, 'ls');
    return b?.holders === 1;
  });
  const [one, two, ...more] = await lines(first, 'ls');
  assert.deepEqual(more, []);
  const size = a.index!.bytes.length + a.manifest.bytes.length + a.config.size + 500_000;
  assert.equal(one?.image, 'docker.io/library/a:v1');
  assert.equal(one?.digest, a.index!.digest);
  assert.deepEqual(one?.platforms, { held: 1, named: 1 });
  assert.deepEqual({ blobs: one?.blobs, size: one?.size }, { blobs: 5, size });
  assert.deepEqual(one?.held, { blobs: 5, size });
  assert.deepEqual([one?.pinned, one?.private, one?.holders], [false, false, 0]);
  assert.equal(two?.image, 'docker.io/library/b:v2');
  const blobs = await lines(first, 'ls', '--blobs');
  assert.deepEqual(
    blobs.map(({ digest }) => digest),
    await onDisk(first),
  );
  const layer = blobs.find(({ digest }) => digest === shared);
  assert.deepEqual([layer?.size, layer?.mediaType, layer?.holders], [300_000, null, 1]);
  const { out } = await run(first, 'ls');
  assert.match(out, /^DIGEST .* IMAGE\nsha256:[0-9a-f]{12} .* all .* docker\.io\/library\/a:v1\n/);
});

test('an image is listed by the part of it that is held, and looking does not count as a use', async () => {
  const { a, shared } = twoImages();
  const only = await host();
  await only.pull('library/a', 'v1');
  const before = await lines(only, 'ls', '--blobs');
  assert.equal((await run(only, 'rm', shared)).exit, 0);
  const [image] = await lines(only, 'ls');
  assert.deepEqual(image?.held, { blobs: 4, size: (image?.size as number) - 300_000 });
  const after = await lines(only, 'ls', '--blobs');
  assert.deepEqual(
    after.map(({ digest, lastUsed }) => [digest, lastUsed]),
    before.filter(({ digest }) => digest !== shared).map(({ digest, lastUsed }) => [digest, lastUsed]),
  );
  assert.match((await run(only, 'ls')).out, /^sha256:\S+ .* \d\d %.*a:v1$/m);
  assert.equal(a.layers[0]?.digest, shared);
});

test('an image goes but for what others are made of; one that is pinned does not', async () => {
  const { a, b, shared } = twoImages();
  const only = await host();
  await only.pull('library/a', 'v1');
  await only.pull('library/b', 'v2');
  assert.match((await run(only, 'pin', 'b:v2')).out, /^docker\.io\/library\/b:v2 is pinned: .*, all of them held\.\n$/);
  const refused = await run(only, 'rm', 'b:v2');
  assert.equal(refused.exit, 1);
  assert.equal(
    refused.err,
    'layerlan: docker.io/library/b:v2: It is pinned; `layerlan unpin docker.io/library/b:v2` first.\n',
  );
  for (const digest of [shared, b.manifest]) assert.equal((await run(only, 'rm', digest)).exit, 1, digest);

  const told = await lines(only, 'rm', 'a:v1');
  assert.deepEqual(
    told.filter(({ stays }) => stays !== undefined),
    [{ stays: shared, size: 300_000, by: 'docker.io/library/b:v2' }],
  );
  assert.deepEqual(await onDisk(only), [shared, b.manifest, b.own, b.config].sort());
  assert.deepEqual(
    (await lines(only, 'ls')).map(({ image, pinned }) => [image, pinned]),
    [['docker.io/library/b:v2', true]],
  );
  assert.equal((await run(only, 'rm', 'a:v1')).exit, 1, 'it is not known any more');

  assert.equal((await run(only, 'unpin', 'b:v2')).exit, 0);
  const again = await run(only, 'unpin', 'b:v2');
  assert.deepEqual(
    [again.exit, again.err],
    [1, 'layerlan: docker.io/library/b:v2: docker.io/library/b:v2 is not pinned.\n'],
  );
  assert.equal((await run(only, 'rm', 'b:v2')).exit, 0);
  assert.deepEqual(await onDisk(only), []);
  assert.equal(a.layers.length, 2);
});

test('what is pinned before it is pulled stays once it comes, while everything else is let go', async () => {
  const { a, b } = twoImages();
  const only = await host();
  const { exit, out } = await run(only, 'pin', 'a:v1');
  assert.equal(exit, 0);
  assert.match(out, /^docker\.io\/library\/a:v1 is pinned: sha256:[0-9a-f]+, 2 blobs; 1 of them .* are missing/);
  assert.equal(lan.upstream.bytesServed(), 0, 'no layer is fetched for a pin');
  await only.pull('library/a', 'v1');
  await only.pull('library/b', 'v2');
  const would = await lines(only, 'gc', '--to', '0B', '--dry-run');
  assert.equal((await onDisk(only)).length, 8, 'a dry run lets nothing go');
  const went = await lines(only, 'gc', '--to', '0B');
  const digests = (told: Record<string, unknown>[]) => told.flatMap(({ gone }) => gone ?? []).sort();
  assert.deepEqual(digests(went), digests(would));
  assert.deepEqual(digests(went), [b.manifest, b.own, b.config].sort());
  const of = [a.index!.digest, a.manifest.digest, a.config.digest, ...a.layers.map(({ digest }) => digest)];
  assert.deepEqual(await onDisk(only), of.sort());
});

test('rot is found, dropped and told to peers; what is pinned comes back', async () => {
  const { a, b, shared } = twoImages();
  const only = await host();
  await only.pull('library/a', 'v1');
  await only.pull('library/b', 'v2');
  const neighbour = await host();
  const holdersOf = async (digest: Digest) =>
    (await lines(neighbour, 'ls', '--blobs')).find((blob) => blob.digest === digest)?.holders;
  await neighbour.pull('library/b', 'v2');
  await until('the neighbour hears of it', async () => (await holdersOf(b.own)) === 1);
  await run(only, 'pin', 'a:v1');
  assert.match((await run(only, 'verify', '--all')).out, /^8 blobs checked, .*: all of them good\.\n$/);
  assert.match((await run(only, 'verify')).out, /^Nothing was due/);
  for (const digest of [shared, a.manifest.digest, b.own]) await flipBit(fileOf(only, digest));
  lan.upstream.forget();
  const { exit, out, err } = await run(only, 'verify');
  assert.deepEqual([exit, err], [1, '']);
  for (const digest of [shared, a.manifest.digest]) {
    assert.ok(out.includes(`rotten  ${digest}  dropped, and fetched again\n`), out);
  }
  assert.ok(out.includes(`rotten  ${b.own}  dropped, and not fetched again: it is not pinned\n`), out);
  assert.match(out, /3 rotten, 2 of these fetched again\.\n$/);
  assert.equal(lan.upstream.bytesServed(b.own), 0);
  await until('the neighbour hears that it is gone', async () => (await holdersOf(b.own)) === 0);
  assert.equal((await onDisk(only)).length, 7);
  assert.equal((await stat(fileOf(only, shared))).size, 300_000);
  const after = await run(only, 'verify', '--all');
  assert.deepEqual([after.exit, after.out.includes('all of them good')], [0, true]);
  assert.ok((await only.pull('library/b', 'v2')).matches);
});

test('whoever is not on this machine, or is a web page, commands nothing', async () => {
  const only = await host();
  const status = (headers: Record<string, string>, localAddress: string, name: string) =>
    new Promise<number>((resolve, reject) => {
      const url = `${only.mirror}/agent/${name}?image=a`;
      request(url, { method: 'POST', headers, localAddress }, (response) => resolve(response.resume().statusCode ?? 0))
        .on('error', reject)
        .end();
    });
  for (const name of ['ls', 'pin', 'unpin', 'rm', 'gc', 'verify', 'refresh']) {
    assert.equal(await status({ origin: 'https://evil.example' }, '127.0.0.2', name), 403, name);
    assert.equal(await status({ host: 'evil.example' }, '127.0.0.2', name), 403, name);
    assert.equal((await fetch(`${only.mirror}/agent/${name}?image=a`)).status, 404, name);
  }
});
