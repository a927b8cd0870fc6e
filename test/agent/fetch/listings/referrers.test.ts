import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { type Referrers, referrersOf, referrersTag } from '../../../../agent/fetch/listings/referrers.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import { type MemoryUpstream, memoryUpstream } from '../../../support/memory-upstream.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;
const subject = toDigest('sha256', Buffer.alloc(32, 7));
const long = toDigest('sha512', Buffer.alloc(64, 0xab));

const sbom = { mediaType: 'application/json', digest: subject, size: 5, artifactType: 'a/sbom' };
const signature = { mediaType: 'application/json', digest: long, size: 6, artifactType: 'a/signature' };

let upstream: MemoryUpstream;

beforeEach(() => {
  upstream = memoryUpstream();
});

const ask = (digest: Digest, artifactType?: string) =>
  referrersOf(upstream, { repository, digest, artifactType }, never);

function manifestsOf({ mediaType, bytes }: Referrers): unknown {
  assert.equal(mediaType, INDEX);
  const index = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
  assert.equal(index.schemaVersion, 2);
  assert.equal(index.mediaType, INDEX);
  return index.manifests;
}

test('what upstream lists, filtered where upstream did not', async () => {
  upstream.referrers?.set(subject, [sbom, signature]);
  assert.deepEqual(manifestsOf(await ask(subject)), [sbom, signature]);
  assert.deepEqual(manifestsOf(await ask(subject, 'a/signature')), [signature]);
  assert.deepEqual(manifestsOf(await ask(subject, 'a/other')), []);
  assert.deepEqual(manifestsOf(await ask(long)), []);
});

test('several pages are one index', async () => {
  const asked: string[] = [];
  upstream.listReferrers = async (_repository, _digest, query) => {
    asked.push(query);
    const index = { schemaVersion: 2, annotations: { a: 'b' }, manifests: [asked.length === 1 ? sbom : signature] };
    return { index, size: 100, isFiltered: true, next: asked.length === 1 ? 'token=2' : undefined };
  };
  const answer = await ask(subject, 'a/any');
  assert.deepEqual(manifestsOf(answer), [sbom, signature]);
  assert.deepEqual(JSON.parse(Buffer.from(answer.bytes).toString()).annotations, { a: 'b' });
  assert.deepEqual(asked, ['artifactType=a%2Fany', 'token=2']);
});

test('pages without end are not followed for ever', async () => {
  let asked = 0;
  let size = 1;
  upstream.listReferrers = async () => {
    asked++;
    return { index: { manifests: [sbom] }, size, isFiltered: true, next: 'again' };
  };
  await assert.rejects(ask(subject), { code: 'UPSTREAM_FAILED' });
  assert.equal(asked, 100, 'however little each brings');
  asked = 0;
  size = 1024 * 1024;
  await assert.rejects(ask(subject), { code: 'UPSTREAM_FAILED' });
  assert.ok(asked <= 6, `${asked}`);
});

test('a page may hold more referrers than a call takes arguments', async () => {
  const manifests = Array.from({ length: 300_000 }, () => 0);
  upstream.listReferrers = async () => ({ index: { manifests }, size: 600_000, isFiltered: true, next: undefined });
  assert.equal((manifestsOf(await ask(subject)) as unknown[]).length, manifests.length);
});

test('a registry that knows of no referrers has them under a tag, or none', async () => {
  upstream.referrers = undefined;
  assert.deepEqual(manifestsOf(await ask(subject)), []);
  const index = { schemaVersion: 2, mediaType: INDEX, manifests: [sbom, signature] };
  upstream.tag(`sha256-${'07'.repeat(32)}`, Buffer.from(JSON.stringify(index)), INDEX);
  assert.deepEqual(manifestsOf(await ask(subject)), [sbom, signature]);
  assert.deepEqual(manifestsOf(await ask(subject, 'a/sbom')), [sbom]);
  upstream.tag(referrersTag(long), Buffer.from('not an index'), 'text/plain');
  assert.deepEqual(manifestsOf(await ask(long)), []);
});

test('the tag of a long digest is cut to what a tag may be', () => {
  assert.equal(referrersTag(long), `sha512-${'ab'.repeat(32)}`);
});

test('upstream that is away or says no is told as it is', async () => {
  for (const code of ['UPSTREAM_UNREACHABLE', 'UPSTREAM_DENIED', 'UPSTREAM_RATE_LIMITED'] as const) {
    upstream.away = code;
    await assert.rejects(ask(subject), { code });
  }
});
