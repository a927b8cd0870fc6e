import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { partsOfImage } from '../../../agent/oci/image-parts.ts';
import { parsePlatform } from '../../../agent/oci/platform.ts';
import { toDigest } from '../../../protocol/digest.ts';

const amd64 = parsePlatform('linux/amd64');

/** Manifests by digest and name, and what was asked for. */
function shelf() {
  const held = new Map<string, Buffer>();
  const asked: string[] = [];
  return {
    asked,
    put(value: unknown, name?: string) {
      const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
      const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
      for (const key of [digest, ...(name === undefined ? [] : [name])]) held.set(key, bytes);
      return { digest, size: bytes.length };
    },
    source: async (reference: string) => {
      asked.push(reference);
      const bytes = held.get(reference);
      if (bytes === undefined) return undefined;
      return { digest: toDigest('sha256', createHash('sha256').update(bytes).digest()), mediaType: 'a/b', bytes };
    },
  };
}

const blob = (letter: string, size = 5) => ({ digest: `sha256:${letter.repeat(64)}`, size });

test('of an index the wanted platform is walked, and nothing else is asked for', async () => {
  const { put, source, asked } = shelf();
  const one = put({ config: blob('a'), layers: [blob('b'), blob('b')], subject: blob('c') });
  const two = put({ config: blob('d'), layers: [blob('e')] });
  const index = {
    manifests: [
      { ...two, platform: { os: 'linux', architecture: 'arm64' } },
      { ...one, platform: { os: 'linux', architecture: 'amd64' } },
    ],
  };
  put(index, 'latest');
  const parts = await partsOfImage('latest', amd64, source);
  assert.deepEqual(asked, ['latest', one.digest]);
  assert.deepEqual(parts.blobs, [blob('a'), blob('b')]);
  assert.deepEqual(parts.platforms, ['linux/amd64']);
  assert.equal(parts.manifests.length, 2);
  const all = await partsOfImage('latest', 'all', source);
  assert.deepEqual(all.blobs.map(({ digest }) => digest[7]).sort(), ['a', 'b', 'd', 'e']);
  await assert.rejects(partsOfImage('latest', parsePlatform('linux/s390x'), source), {
    code: 'PLATFORM_UNKNOWN',
    message: 'latest has nothing for linux/s390x; it has linux/arm64, linux/amd64',
  });
});

test('an image without an index is taken as it is, without layers that no registry has', async () => {
  const { put, source } = shelf();
  const foreign = { ...blob('f'), mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', urls: ['x'] };
  put({ config: blob('a'), layers: [foreign, blob('b')] }, 'latest');
  const { blobs, platforms } = await partsOfImage('latest', amd64, source);
  assert.deepEqual([blobs, platforms], [[blob('a'), blob('b')], []]);
});

test('what is no manifest, or leads into itself, ends', async () => {
  const { put, source } = shelf();
  for (const value of ['', '[]', '{}', 'no json', { config: 1 }]) {
    put(value, 'latest');
    await assert.rejects(partsOfImage('latest', amd64, source), { code: 'UPSTREAM_FAILED' }, JSON.stringify(value));
  }
  let inner = put({ config: blob('a'), layers: [] });
  for (let depth = 0; depth < 8; depth++) inner = put({ manifests: [inner], depth }, 'latest');
  await assert.rejects(partsOfImage('latest', 'all', source), { code: 'UPSTREAM_FAILED' });
});

test('a manifest that an index lists may be missing', async () => {
  const { put, source } = shelf();
  const here = put({ config: blob('a'), layers: [] });
  put({ manifests: [blob('c'), here] }, 'latest');
  const { manifests } = await partsOfImage('latest', 'all', source);
  assert.equal(manifests.length, 2);
});
