import assert from 'node:assert/strict';
import { assertError, type Case, forEachAlgorithm, get, head } from '../case.ts';
import { digestOf, newBlob, newRepository, unknownDigest } from '../target.ts';

const SECTION = 'Pulling Blobs (end-2)';
const MIB = 1024 * 1024;

const otherDigest = (algorithm: string) =>
  algorithm === 'sha512'
    ? { because: 'it answers with the blob’s SHA-256 in Docker-Content-Digest', seen: /\+ 'sha256:.*\s+- 'sha512:/ }
    : undefined;

export const blobCases: Case[] = [
  ...forEachAlgorithm((algorithm) => ({
    title: 'GET: the bytes, the length, the digest that was asked for',
    section: SECTION,
    differs: otherDigest(algorithm),
    async run(target) {
      const { path, bytes, digest } = await newBlob(target, algorithm, 9 * MIB + 7);
      const answer = await get(target, path);
      assert.equal(answer.status, 200);
      assert.ok(answer.body.equals(bytes));
      assert.equal(answer.header('content-length'), String(bytes.length));
      assert.equal(answer.header('docker-content-digest'), digest);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'HEAD: the headers of GET',
    section: SECTION,
    differs: otherDigest(algorithm),
    async run(target) {
      const { path, bytes, digest } = await newBlob(target, algorithm, 3 * MIB);
      const answer = await head(target, path);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('content-length'), String(bytes.length));
      assert.equal(answer.header('docker-content-digest'), digest);
      assert.equal(answer.header('accept-ranges'), 'bytes');
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'GET and HEAD of the same blob, again and again',
    section: SECTION,
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, 10_000);
      for (let each = 0; each < 3; each++) {
        assert.equal((await head(target, path)).header('content-length'), '10000');
        assert.ok((await get(target, path)).body.equals(bytes));
      }
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'the empty blob',
    section: SECTION,
    async run(target) {
      const repository = newRepository();
      const digest = digestOf(algorithm, Buffer.alloc(0));
      await target.addBlob(repository, Buffer.alloc(0), digest);
      const answer = await get(target, `/v2/${repository}/blobs/${digest}`);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('content-length'), '0');
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'nothing is compressed on the way',
    section: 'RFC 9110, 8.4',
    client: 'Docker’s containerd store offers zstd, gzip, deflate',
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, 5000);
      const answer = await get(target, path, 'Accept-Encoding: zstd, gzip, deflate');
      assert.equal(answer.header('content-encoding'), undefined);
      assert.ok(answer.body.equals(bytes));
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'If-None-Match with the blob’s ETag is 304',
    section: 'RFC 9110, 13.1.2',
    async run(target) {
      const { path } = await newBlob(target, algorithm, 5000);
      const etag = (await head(target, path)).header('etag');
      assert.ok(etag, 'an ETag');
      for (const known of [etag, `"other", W/${etag}`, '*']) {
        const answer = await get(target, path, `If-None-Match: ${known}`);
        assert.equal(answer.status, 304, known);
      }
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a blob that is not there is 404 BLOB_UNKNOWN',
    section: SECTION,
    async run(target) {
      const { repository } = await newBlob(target, 'sha256', 10);
      const path = `/v2/${repository}/blobs/${unknownDigest(algorithm)}`;
      assertError(await get(target, path), 404, 'BLOB_UNKNOWN');
      assertError(await get(target, path, 'Range: bytes=0-1'), 404, 'BLOB_UNKNOWN');
      assert.equal((await head(target, path)).status, 404);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a blob that was not there is found once it is',
    section: SECTION,
    async run(target) {
      const repository = newRepository();
      const bytes = Buffer.from(`late ${repository}`);
      const digest = digestOf(algorithm, bytes);
      const path = `/v2/${repository}/blobs/${digest}`;
      assert.equal((await head(target, path)).status, 404);
      assert.equal((await get(target, path)).status, 404);
      await target.addBlob(repository, bytes, digest);
      assert.ok((await get(target, path)).body.equals(bytes));
    },
  })),
  {
    title: 'what is no digest is 400',
    section: 'Error Codes (DIGEST_INVALID)',
    async run(target) {
      const { repository } = await newBlob(target, 'sha256', 10);
      for (const digest of ['sha256:abc', `sha256:${'G'.repeat(64)}`, `sha512:${'0'.repeat(64)}`]) {
        assertError(await get(target, `/v2/${repository}/blobs/${digest}`), 400, 'DIGEST_INVALID');
      }
    },
  },
  {
    title: 'a name that breaks the grammar is 400 or 404',
    section: 'Pulling Manifests (<name>)',
    async run(target) {
      for (const name of ['Upper/case', 'under___score', 'dot..dot', '-dash', 'end-']) {
        const { status } = await get(target, `/v2/${name}/blobs/${unknownDigest('sha256')}`);
        assert.ok(status === 400 || status === 404, `${name}: ${status}`);
      }
    },
  },
];
