import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pulledText } from '../../../agent/cli/pull.ts';
import { LAYOUT_TEXT } from '../../../agent/oci/image-layout.ts';
import { command, serve } from './support.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const IMAGE = 'docker.io/library/alpine:latest';

test('what was pulled, and where it was', () => {
  const line = {
    state: 'pulled' as const,
    image: IMAGE,
    digest: DIGEST,
    platforms: ['linux/amd64'],
    blobs: { done: 2, of: 2 },
    bytes: { done: 3000, of: 3000 },
    from: { held: 0, peers: 2000, upstream: 1000 },
  };
  const text = `${IMAGE} is ${DIGEST}\n2.93 KiB in 2 blobs for linux/amd64: 1.95 KiB from peers, 1000 B from upstream\n`;
  assert.equal(pulledText(line), text.replace('1000 B', '0.98 KiB'));
});

test('what is given wrongly is told before anybody is asked', async () => {
  const cases: [args: string[], message: RegExp][] = [
    [['pull', 'Alpine'], /is no image/],
    [['pull', 'alpine@sha256:abc'], /no sha256 or sha512 digest/],
    [['pull', 'alpine', '--platform', 'amd64'], /is no platform/],
    [['pull'], /missing required argument/],
    [['export', 'alpine', '/nowhere/at/all', '--platform', 'x'], /is no platform/],
    [['import', '/nowhere', '--name', 'ALPINE'], /is no image/],
  ];
  for (const [args, message] of cases) {
    const { exit, out, err } = await command(...args);
    assert.deepEqual({ exit, out }, { exit: 2, out: '' }, args.join(' '));
    assert.match(err, message);
  }
});

test('no agent, or one that says no, is one line', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-export-'));
  t.after(() => rm(directory, { recursive: true }));
  const problem = JSON.stringify({
    errors: [{ code: 'DENIED', message: 'never\u001b[2J', detail: { error: 'REPOSITORY_NOT_ALLOWED', means: '' } }],
  });
  const cases: [port: number, message: RegExp][] = [
    [1, /no agent answers at 127\.0\.0\.1:1: connection refused/],
    [await serve(t, 'hello', 404), /is no layerlan agent \(404\)/],
    [await serve(t, problem, 403), /alpine:latest: never/],
  ];
  for (const [port, message] of cases) {
    for (const args of [
      ['pull', 'alpine'],
      ['export', 'alpine', directory],
    ]) {
      const { exit, out, err } = await command(...args, '--set', `mirror.listen=127.0.0.1:${port}`);
      assert.deepEqual({ exit, out }, { exit: 1, out: '' });
      assert.match(err, message);
      assert.match(err, /^layerlan: [^\n]+\n$/);
      assert.ok(!err.includes('\u001b'));
    }
  }
});

test('which name a layout’s image comes in by', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-import-'));
  t.after(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, 'store'));
  const index = (...annotations: object[]) => {
    const manifests = annotations.map((each) => ({ mediaType: 'a/b', digest: DIGEST, size: 1, annotations: each }));
    return writeFile(join(directory, 'index.json'), JSON.stringify({ manifests }));
  };
  const run = (...args: string[]) =>
    command('import', directory, ...args, '--set', `store.path=${join(directory, 'store')}`);
  assert.match((await run()).err, /is no OCI image layout: it has no oci-layout/);
  await writeFile(join(directory, 'oci-layout'), LAYOUT_TEXT);
  await index();
  assert.match((await run()).err, /lists no image/);
  for (const refName of ['latest', 'alpine:3']) {
    await index({ 'org.opencontainers.image.ref.name': refName });
    assert.match((await run()).err, new RegExp(`only the name "${refName}" for ${DIGEST}; give it one with --name`));
  }
  await index({}, {});
  assert.match((await run('--name', 'alpine')).err, /lists 2 images, which --name cannot all name/);
  await index({ 'io.containerd.image.name': `docker.io/library/alpine@sha256:${'b'.repeat(64)}` });
  assert.match((await run()).err, new RegExp(`has ${DIGEST}, which is not docker`));
  // Named well: what is missing next is the owner's key.
  for (const annotations of [
    { 'io.containerd.image.name': IMAGE },
    { 'org.opencontainers.image.ref.name': 'localhost/app:v1' },
  ]) {
    await index(annotations);
    const { exit, err } = await run();
    assert.equal(exit, 1);
    assert.match(err, /owner\.key cannot be read: ENOENT; import as root/);
  }
});
