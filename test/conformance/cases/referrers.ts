import assert from 'node:assert/strict';
import type { Algorithm, Digest } from '../../../protocol/digest.ts';
import { assertError, type Case, forEachAlgorithm, get } from '../case.ts';
import {
  newManifest,
  newRepository,
  OCI_INDEX,
  OCI_MANIFEST,
  OLD_REGISTRY,
  type Target,
  unknownDigest,
} from '../target.ts';
import type { Answer } from '../wire.ts';

const SECTION = 'Listing Referrers (end-12)';
const NO_REFERRERS = { because: 'it knows of no referrers', seen: /404 !== (?:200|400)/ };

const SBOM = 'application/vnd.example.sbom';
const SIGNATURE = 'application/vnd.example.signature';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const ANNOTATIONS = { 'org.example.made': 'by hand' };

function referrersOf(answer: Answer): Descriptor[] {
  assert.equal(answer.status, 200);
  assert.equal(answer.header('content-type'), OCI_INDEX);
  const index = JSON.parse(answer.body.toString()) as Record<string, unknown>;
  assert.equal(index.schemaVersion, 2);
  assert.equal(index.mediaType, OCI_INDEX);
  return index.manifests as Descriptor[];
}

/** A digest with an SBOM and a signature that refer to it; the registry need not have what they refer to. */
async function referred(target: Target, algorithm: Algorithm) {
  const repository = newRepository();
  const subject = { mediaType: OCI_MANIFEST, digest: unknownDigest(algorithm), size: 5 };
  const sbom = await newManifest(target, 'sha256', { repository, over: { subject, artifactType: SBOM } });
  const signature = await newManifest(target, 'sha256', {
    repository,
    over: { subject, artifactType: SIGNATURE, annotations: ANNOTATIONS },
  });
  return { path: `/v2/${repository}/referrers/${subject.digest}`, sbom, signature };
}

/** The same, at a registry that has them under a tag, where clients put them. */
async function referredByTag(target: Target, algorithm: Algorithm) {
  const repository = `${OLD_REGISTRY}/${newRepository()}`;
  const subject = unknownDigest(algorithm);
  const sbom = await newManifest(target, 'sha256', { repository, over: { artifactType: SBOM } });
  const signature = await newManifest(target, 'sha256', { repository, over: { artifactType: SIGNATURE } });
  const manifests = [sbom, signature].map(({ digest, bytes }, at) => {
    return { mediaType: OCI_MANIFEST, digest, size: bytes.length, artifactType: [SBOM, SIGNATURE][at] };
  });
  const over = { config: undefined, layers: undefined, manifests };
  // The algorithm, a dash and at most 64 digits.
  const tag = subject.replace(':', '-').slice(0, 7 + 64);
  await newManifest(target, 'sha256', { repository, tag, contentType: OCI_INDEX, over });
  return { path: `/v2/${repository}/referrers/${subject}`, sbom, signature };
}

export const referrerCases: Case[] = [
  ...forEachAlgorithm((algorithm) => ({
    title: 'an image index of what refers to a digest',
    section: SECTION,
    client: 'Docker 29.1, cosign, oras',
    differs: NO_REFERRERS,
    async run(target) {
      const { path, sbom, signature } = await referred(target, algorithm);
      const found = referrersOf(await get(target, path));
      assert.deepEqual(found.map(({ digest }) => digest).sort(), [sbom.digest, signature.digest].sort());
      const one = found.find(({ digest }) => digest === sbom.digest);
      assert.deepEqual([one?.mediaType, one?.size, one?.artifactType], [OCI_MANIFEST, sbom.bytes.length, SBOM]);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'filtered by type, and it is said that it is',
    section: SECTION,
    differs: NO_REFERRERS,
    async run(target) {
      const { path, signature } = await referred(target, algorithm);
      const answer = await get(target, `${path}?artifactType=${encodeURIComponent(SIGNATURE)}`);
      const found = referrersOf(answer);
      assert.deepEqual(
        found.map(({ digest }) => digest),
        [signature.digest],
      );
      assert.deepEqual(found[0]?.annotations, ANNOTATIONS);
      assert.equal(answer.header('oci-filters-applied'), 'artifactType');
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'what nothing refers to has an empty index, not a 404',
    section: SECTION,
    differs: NO_REFERRERS,
    async run(target) {
      const { repository } = await newManifest(target, 'sha256');
      const answer = await get(target, `/v2/${repository}/referrers/${unknownDigest(algorithm)}`);
      assert.deepEqual(referrersOf(answer), []);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'from the tag, where the registry knows of no referrers',
    section: 'Referrers Tag Schema',
    differs: NO_REFERRERS,
    async run(target) {
      const { path, sbom, signature } = await referredByTag(target, algorithm);
      const found = referrersOf(await get(target, path)).map(({ digest }) => digest);
      assert.deepEqual(found, [sbom.digest, signature.digest]);
      const filtered = await get(target, `${path}?artifactType=${encodeURIComponent(SBOM)}`);
      assert.deepEqual(
        referrersOf(filtered).map(({ digest }) => digest),
        [sbom.digest],
      );
      assert.equal(filtered.header('oci-filters-applied'), 'artifactType');
    },
  })),
  {
    title: 'what is no digest is 400',
    section: SECTION,
    differs: NO_REFERRERS,
    async run(target) {
      const { repository } = await newManifest(target, 'sha256');
      assertError(await get(target, `/v2/${repository}/referrers/sha256:abc`), 400, 'DIGEST_INVALID');
    },
  },
];
