import assert from 'node:assert/strict';
import { assertError, type Case, forEachAlgorithm, get, head } from '../case.ts';
import { newManifest, newRepository, OCI_INDEX, OCI_MANIFEST, unknownDigest } from '../target.ts';

const SECTION = 'Pulling Manifests (end-3)';
const CONTAINERD_ACCEPT =
  'Accept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, ' +
  'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*';
const ACCEPTS = [
  'Accept: application/vnd.oci.image.manifest.v1+json',
  'Accept: application/vnd.oci.image.index.v1+json',
];

const noSha512 = (algorithm: string) =>
  algorithm === 'sha512'
    ? { because: 'it takes manifests under their SHA-256 alone', seen: /^push: 400 .*DIGEST_INVALID/ }
    : undefined;

/** JSON as nobody's library writes it: who parses and writes it again changes its digest. */
const oddly = (value: unknown) => `\n\t${JSON.stringify(value, null, 3)}\n\n`;

/** What a registry should take at least, and may refuse beyond. Bytes. */
const LARGEST = 4 * 1024 * 1024;

const padded = (value: unknown) => {
  const text = (note: string) => JSON.stringify({ ...(value as object), annotations: { note } });
  return text('x'.repeat(LARGEST - text('').length));
};

export const manifestCases: Case[] = [
  ...forEachAlgorithm((algorithm) => ({
    title: 'GET by digest: the bytes, the type, the length, the digest',
    section: SECTION,
    differs: noSha512(algorithm),
    async run(target) {
      const { repository, bytes, digest, mediaType } = await newManifest(target, algorithm);
      const answer = await get(target, `/v2/${repository}/manifests/${digest}`, ...ACCEPTS);
      assert.equal(answer.status, 200);
      assert.ok(answer.body.equals(bytes));
      assert.equal(answer.header('content-type'), mediaType);
      assert.equal(answer.header('content-length'), String(bytes.length));
      assert.equal(answer.header('docker-content-digest'), digest);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'HEAD by digest: the headers of GET',
    section: SECTION,
    differs: noSha512(algorithm),
    async run(target) {
      const { repository, bytes, digest, mediaType } = await newManifest(target, algorithm);
      const answer = await head(target, `/v2/${repository}/manifests/${digest}`, ...ACCEPTS);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('content-type'), mediaType);
      assert.equal(answer.header('content-length'), String(bytes.length));
      assert.equal(answer.header('docker-content-digest'), digest);
    },
  })),
  {
    title: 'GET by tag: the bytes, the type, the digest',
    section: SECTION,
    client: 'podman never sends HEAD',
    async run(target) {
      const { repository, bytes, digest } = await newManifest(target, 'sha256', { tag: 'v1.2_3-x' });
      const answer = await get(target, `/v2/${repository}/manifests/v1.2_3-x`, ...ACCEPTS);
      assert.equal(answer.status, 200);
      assert.ok(answer.body.equals(bytes));
      assert.equal(answer.header('content-type'), OCI_MANIFEST);
      assert.equal(answer.header('docker-content-digest'), digest);
    },
  },
  {
    title: 'a tag of a manifest that is known by its SHA-512: that digest, by HEAD and GET',
    section: SECTION,
    client: 'OCI’s own conformance suite',
    differs: noSha512('sha512'),
    async run(target) {
      const { repository, bytes, digest } = await newManifest(target, 'sha512', { tag: 'v1' });
      const path = `/v2/${repository}/manifests/v1`;
      assert.equal((await head(target, path, ...ACCEPTS)).header('docker-content-digest'), digest);
      const answer = await get(target, path, ...ACCEPTS);
      assert.equal(answer.header('docker-content-digest'), digest);
      assert.ok(answer.body.equals(bytes));
    },
  },
  {
    title: 'HEAD by tag: length and digest, so that no GET is needed',
    section: SECTION,
    client: 'containerd',
    async run(target) {
      const { repository, bytes, digest } = await newManifest(target, 'sha256', { tag: 'v1' });
      const answer = await head(target, `/v2/${repository}/manifests/v1`, CONTAINERD_ACCEPT);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('content-type'), OCI_MANIFEST);
      assert.equal(answer.header('content-length'), String(bytes.length));
      assert.equal(answer.header('docker-content-digest'), digest);
      assert.equal(answer.body.length, 0);
    },
  },
  ...[OCI_INDEX, 'application/vnd.docker.distribution.manifest.v2+json'].map(
    (contentType) =>
      ({
        title: `a manifest keeps its type: ${contentType.split('.').slice(-2).join('.')}`,
        section: SECTION,
        async run(target) {
          const over = contentType === OCI_INDEX ? { config: undefined, layers: undefined, manifests: [] } : {};
          const { repository, digest, bytes } = await newManifest(target, 'sha256', { contentType, over, tag: 'v1' });
          for (const reference of ['v1', digest]) {
            const answer = await get(target, `/v2/${repository}/manifests/${reference}`, CONTAINERD_ACCEPT);
            assert.equal(answer.header('content-type'), contentType);
            assert.ok(answer.body.equals(bytes));
          }
        },
      }) satisfies Case,
  ),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a manifest in odd spelling comes byte for byte',
    section: SECTION,
    differs: noSha512(algorithm),
    async run(target) {
      const { repository, bytes, digest } = await newManifest(target, algorithm, { spell: oddly });
      const answer = await get(target, `/v2/${repository}/manifests/${digest}`, ...ACCEPTS);
      assert.ok(answer.body.equals(bytes));
    },
  })),
  {
    title: 'nothing is compressed on the way',
    section: 'RFC 9110, 8.4',
    client: 'Docker’s containerd store offers zstd, gzip, deflate',
    async run(target) {
      const { repository, bytes, digest } = await newManifest(target, 'sha256');
      const encodings = 'Accept-Encoding: zstd, gzip, deflate';
      const answer = await get(target, `/v2/${repository}/manifests/${digest}`, encodings, ...ACCEPTS);
      assert.equal(answer.header('content-encoding'), undefined);
      assert.ok(answer.body.equals(bytes));
    },
  },
  ...forEachAlgorithm((algorithm) => ({
    title: 'If-None-Match with the manifest’s ETag is 304',
    section: 'RFC 9110, 13.1.2',
    differs: noSha512(algorithm) ?? { because: 'it takes one tag in If-None-Match, not a list', seen: /200 !== 304/ },
    async run(target) {
      const { repository, digest } = await newManifest(target, algorithm);
      const path = `/v2/${repository}/manifests/${digest}`;
      const etag = (await get(target, path, ...ACCEPTS)).header('etag');
      assert.ok(etag, 'an ETag');
      const answer = await get(target, path, `If-None-Match: "other", ${etag}`, ...ACCEPTS);
      assert.equal(answer.status, 304);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a manifest of 4 MiB, the most that registries have to take',
    section: 'Pushing Manifests (a limit of at least 4 MiB)',
    differs: noSha512(algorithm),
    async run(target) {
      const { repository, bytes, digest } = await newManifest(target, algorithm, { tag: 'large', spell: padded });
      assert.equal(bytes.length, LARGEST);
      for (const reference of ['large', digest]) {
        const path = `/v2/${repository}/manifests/${reference}`;
        assert.equal((await head(target, path, ...ACCEPTS)).header('content-length'), String(LARGEST));
        assert.ok((await get(target, path, ...ACCEPTS)).body.equals(bytes));
      }
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a digest that is not there is 404 MANIFEST_UNKNOWN',
    section: SECTION,
    async run(target) {
      const { repository } = await newManifest(target, 'sha256');
      const path = `/v2/${repository}/manifests/${unknownDigest(algorithm)}`;
      assertError(await get(target, path, ...ACCEPTS), 404, 'MANIFEST_UNKNOWN');
      assert.equal((await head(target, path, ...ACCEPTS)).status, 404);
    },
  })),
  {
    title: 'a tag that is not there is 404 MANIFEST_UNKNOWN',
    section: SECTION,
    async run(target) {
      const { repository } = await newManifest(target, 'sha256');
      assertError(await get(target, `/v2/${repository}/manifests/none`, ...ACCEPTS), 404, 'MANIFEST_UNKNOWN');
    },
  },
  {
    title: 'a tag that breaks the grammar is one that is not there: 404',
    section: SECTION,
    client: 'OCI’s conformance suite 1.1',
    async run(target) {
      const { repository } = await newManifest(target, 'sha256');
      for (const tag of ['.INVALID_MANIFEST_NAME', '-v1', 't'.repeat(129)]) {
        assert.equal((await get(target, `/v2/${repository}/manifests/${tag}`, ...ACCEPTS)).status, 404, tag);
        assert.equal((await head(target, `/v2/${repository}/manifests/${tag}`, ...ACCEPTS)).status, 404, tag);
      }
    },
  },
  ...forEachAlgorithm((algorithm) => ({
    title: 'a manifest that was not there is found once it is',
    section: SECTION,
    differs: noSha512(algorithm),
    async run(target) {
      const { mediaType, bytes, digest, config } = await newManifest(target, algorithm);
      const repository = newRepository();
      const paths = [digest, 'late'].map((reference) => `/v2/${repository}/manifests/${reference}`);
      for (const path of paths) assert.equal((await get(target, path, ...ACCEPTS)).status, 404);
      await target.addBlob(repository, config.bytes, config.digest);
      await target.addManifest(repository, { mediaType, bytes, digest }, 'late');
      for (const path of paths) assert.ok((await get(target, path, ...ACCEPTS)).body.equals(bytes));
    },
  })),
  {
    title: 'a reference that is no digest is 400',
    section: 'Error Codes (DIGEST_INVALID)',
    differs: { because: 'it answers 500 to a digest of a wrong length', seen: /500 !== 400/ },
    async run(target) {
      const { repository } = await newManifest(target, 'sha256');
      for (const digest of ['sha256:abc', `sha256:${'G'.repeat(64)}`, `sha512:${'0'.repeat(64)}`]) {
        const answer = await get(target, `/v2/${repository}/manifests/${digest}`, ...ACCEPTS);
        assertError(answer, 400, 'DIGEST_INVALID');
      }
    },
  },
];
