import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { containerdContent, ociLayout } from '../../../../agent/store/also/blobs-directory.ts';
import type { Digest } from '../../../../protocol/digest.ts';
import { BLOBS, blobPath, putBlob } from '../../../support/blobs-on-disk.ts';
import { memorySource } from '../../../support/memory-source.ts';
import { content, digestOfBytes, never } from '../compliance.ts';
import { sourceCompliance } from './compliance.ts';

async function listed(root: string): Promise<Digest[]> {
  const digests: Digest[] = [];
  for await (const { digest } of ociLayout(root).list(never)) digests.push(digest);
  return digests;
}

const directory = () => mkdtemp(join(tmpdir(), 'layerlan-also-'));

for (const [kind, of] of [
  ['containerd', containerdContent],
  ['oci', ociLayout],
] as const) {
  sourceCompliance(`${kind} on disk`, async () => {
    const root = await directory();
    return {
      source: of(root),
      put: (digest, bytes) => putBlob(kind, root, digest, bytes),
      remove: (digest) => rm(blobPath(kind, root, digest)),
      lose: () => rm(join(root, BLOBS[kind]), { recursive: true }),
      close: () => rm(root, { recursive: true, force: true }),
    };
  });
}

sourceCompliance('in memory', async () => {
  const source = memorySource();
  return {
    source,
    put: (digest, bytes) => source.put(digest, bytes),
    remove: (digest) => source.remove(digest),
    lose: async () => source.lose(),
    close: async () => source.close(),
  };
});

test('what goes by no digest is not listed, nor what is no file; a link to one is', async () => {
  const root = await directory();
  try {
    const bytes = content('linked', 100);
    const digest = digestOfBytes(bytes);
    const path = blobPath('oci', root, digest);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(join(root, 'elsewhere'), bytes);
    await symlink(join(root, 'elsewhere'), path);
    await writeFile(join(dirname(path), `${digest.slice(7)}.tmp`), bytes);
    await writeFile(join(dirname(path), 'A'.repeat(64)), bytes);
    await mkdir(join(dirname(path), 'a'.repeat(64)));
    await symlink('nowhere', join(dirname(path), 'b'.repeat(64)));
    await promisify(execFile)('mkfifo', [join(dirname(path), 'c'.repeat(64))]);
    assert.deepEqual(await listed(root), [digest]);
  } finally {
    await rm(root, { recursive: true });
  }
});

test('an empty layout is there, and has nothing', async () => {
  const root = await directory();
  try {
    await mkdir(join(root, 'blobs'));
    assert.deepEqual(await listed(root), []);
  } finally {
    await rm(root, { recursive: true });
  }
});
