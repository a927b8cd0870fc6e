import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openBlob, readLayout, readManifest } from '../../../../agent/cli/layout/read.ts';
import { openLayout } from '../../../../agent/cli/layout/write.ts';
import { blobPath } from '../../../../agent/oci/image-layout.ts';
import { toDigest } from '../../../../protocol/digest.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'layerlan-layout-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function blob(size = 100_000) {
  const bytes = randomBytes(size);
  const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
  async function* from(start: number, end = size): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += 1000) yield bytes.subarray(at, Math.min(at + 1000, end));
  }
  return { bytes, digest, size, from };
}

const image = (of: { digest: ReturnType<typeof toDigest>; size: number }) => ({
  digest: of.digest,
  size: of.size,
  mediaType: 'a/b',
  fullName: 'docker.io/library/app:v1',
  tag: 'v1',
});

test('what breaks off leaves no index, and is taken up again', async () => {
  const path = join(directory, 'new');
  const [first, second] = [blob(), blob()];
  const layout = await openLayout(path);
  assert.equal(await layout.add(first, first.from), false);
  const fails = async function* () {
    yield second.bytes.subarray(0, 10);
    throw Object.assign(new Error('pulled out'), { code: 'ENOSPC', syscall: 'write' });
  };
  await assert.rejects(layout.add(second, fails), { code: 'LAYOUT_INVALID', message: /cannot be written: ENOSPC/ });
  assert.deepEqual((await readdir(path)).sort(), ['blobs', 'oci-layout']);
  await assert.rejects(readLayout(path), { code: 'LAYOUT_INVALID', message: /no index\.json/ });
  await writeFile(join(path, '.layerlan-left'), 'of a crash');
  const again = await openLayout(path);
  assert.equal(await again.add(first, () => assert.fail('it is there')), true);
  assert.equal(await again.add(second, second.from), false);
  await again.list(image(second));
  assert.deepEqual(
    await readLayout(path),
    [{ ...image(second), refName: 'v1', tag: undefined }].map(({ tag: _, ...entry }) => entry),
  );
});

test('a blob that ends short is taken up at the byte, and other bytes are refused', async () => {
  const layout = await openLayout(directory);
  const one = blob();
  const starts: number[] = [];
  const short = (start: number) => {
    starts.push(start);
    return one.from(start, Math.min(start + 40_000, one.size));
  };
  assert.equal(await layout.add(one, short), false);
  assert.deepEqual(starts, [0, 40_000, 80_000]);
  const other = blob();
  await assert.rejects(layout.add({ digest: other.digest, size: other.size }, one.from), { code: 'UPSTREAM_MISMATCH' });
  assert.deepEqual((await readdir(join(directory, 'blobs', 'sha256'))).length, 1);
});

test('a blob that is there and damaged is written anew', async () => {
  const layout = await openLayout(directory);
  const one = blob();
  await layout.add(one, one.from);
  const file = join(directory, blobPath(one.digest));
  const damaged = Buffer.from(one.bytes);
  damaged[5]! ^= 1;
  await writeFile(file, damaged);
  assert.equal(await layout.add(one, one.from), false);
  assert.ok(one.bytes.equals(await readFile(file)));
});

test('a directory of something else is left alone', async () => {
  await writeFile(join(directory, 'letter.txt'), 'dear');
  await assert.rejects(openLayout(directory), { code: 'LAYOUT_INVALID', message: /neither empty/ });
  assert.deepEqual(await readdir(directory), ['letter.txt']);
  await assert.rejects(openLayout(join(directory, 'letter.txt')), { code: 'LAYOUT_INVALID', message: /ENOTDIR/ });
  await assert.rejects(openLayout(join(directory, 'no', 'such')), { code: 'LAYOUT_INVALID', message: /ENOENT/ });
  await assert.rejects(readLayout(directory), { code: 'LAYOUT_INVALID', message: /no oci-layout/ });
});

test('what is read of a layout is verified, and only files are', async () => {
  const layout = await openLayout(directory);
  const one = blob(1000);
  await layout.add(one, one.from);
  assert.ok(one.bytes.equals((await readManifest(directory, one.digest, 1000)) ?? Buffer.alloc(0)));
  await assert.rejects(readManifest(directory, one.digest, 999), { code: 'IMPORT_REFUSED' });
  await writeFile(join(directory, blobPath(one.digest)), 'other');
  const refused = { code: 'IMPORT_REFUSED', message: new RegExp(one.digest) };
  await assert.rejects(readManifest(directory, one.digest, 1000), refused);
  const missing = blob(1).digest;
  assert.equal(await readManifest(directory, missing, 10), undefined);
  assert.equal(await openBlob(directory, missing), undefined);
  await mkdir(join(directory, blobPath(missing)));
  await assert.rejects(openBlob(directory, missing), { code: 'LAYOUT_INVALID', message: /is no file/ });
  const device = blob(2).digest;
  await symlink('/dev/zero', join(directory, blobPath(device)));
  await assert.rejects(openBlob(directory, device), { code: 'LAYOUT_INVALID', message: /is no file/ });
});

test('two that write the same blob at once do not write into one another', async () => {
  const one = blob();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const halfway = gates.map(() => Promise.withResolvers<void>());
  const adding = gates.map(async (gate, index) => {
    const layout = await openLayout(directory);
    return await layout.add(one, async function* () {
      yield* one.from(0, 40_000 + index);
      halfway[index]!.resolve();
      await gate.promise;
      yield one.bytes.subarray(40_000 + index);
    });
  });
  const [first, second] = adding;
  await Promise.all(halfway.map(({ promise }) => promise));
  gates[0]!.resolve();
  assert.equal(await first, false);
  assert.ok(one.bytes.equals(await readFile(join(directory, blobPath(one.digest)))));
  gates[1]!.resolve();
  assert.equal(await second, false);
  assert.ok(one.bytes.equals(await readFile(join(directory, blobPath(one.digest)))));
  assert.deepEqual((await readdir(directory)).sort(), ['blobs', 'oci-layout']);
});

test('what an export left that was killed goes with the next, and what another is writing stays', async () => {
  const ended = spawnSync(process.execPath, ['--version']).pid;
  const names = [`.layerlan-${ended}-a`, `.layerlan-${process.pid}-b`, '.layerlan-left'];
  for (const name of names) await writeFile(join(directory, name), 'half');
  await openLayout(directory);
  assert.deepEqual((await readdir(directory)).sort(), [...names.slice(1), 'blobs', 'oci-layout'].sort());
});

test('a device in the place of an index is not read', async () => {
  await openLayout(directory);
  await symlink('/dev/null', join(directory, 'index.json'));
  const message = /index\.json is no file/;
  await assert.rejects(readLayout(directory), { code: 'LAYOUT_INVALID', message });
  await assert.rejects(openLayout(directory), { code: 'LAYOUT_INVALID', message });
});
