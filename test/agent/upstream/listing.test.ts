import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { toDigest } from '../../../protocol/digest.ts';
import { client, failsWith, fixture, PATIENCE, REPOSITORY } from './fixture.ts';

const DIGEST = toDigest('sha256', Buffer.alloc(32, 1));

/** A client of a registry that answers everything with this. */
async function answering(context: TestContext, body: string, headers: Record<string, string> = {}) {
  const server = createServer((_request, response) => response.writeHead(200, headers).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints: [`http://127.0.0.1:${port}`] } } });
  const signal = AbortSignal.timeout(PATIENCE);
  return {
    tags: () => upstream.listTags(REPOSITORY, '', signal),
    referrers: () => upstream.listReferrers(REPOSITORY, DIGEST, '', signal),
  };
}

test('tags, page by page, with a token where the registry wants one', async (context) => {
  const { registry, upstream, signal, bytesCounted } = await fixture(context, { auth: 'bearer' });
  for (const tag of ['v1', 'v2', 'v3']) registry.addManifest(REPOSITORY.name, 'a/b', Buffer.from(tag), tag);
  const first = await upstream.listTags(REPOSITORY, 'n=2', signal);
  assert.deepEqual(first, { tags: ['v1', 'v2'], next: 'n=2&last=v2' });
  assert.deepEqual(await upstream.listTags(REPOSITORY, first.next ?? '', signal), { tags: ['v3'], next: undefined });
  assert.ok((await bytesCounted()) > 0);
  await assert.rejects(upstream.listTags({ ...REPOSITORY, name: 'no/such' }, '', signal), failsWith('NAME_UNKNOWN'));
});

test('referrers, filtered by the registry or not, and a registry that does not know of them', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const referring = Buffer.from(JSON.stringify({ subject: { digest: DIGEST }, artifactType: 'a/b' }));
  const { digest } = registry.addManifest(REPOSITORY.name, 'm/t', referring);
  const plain = await upstream.listReferrers(REPOSITORY, DIGEST, '', signal);
  assert.deepEqual(plain.index.manifests, [{ mediaType: 'm/t', digest, size: referring.length, artifactType: 'a/b' }]);
  assert.equal(plain.isFiltered, false);
  const filtered = await upstream.listReferrers(REPOSITORY, DIGEST, 'artifactType=c%2Fd', signal);
  assert.deepEqual([filtered.index.manifests, filtered.isFiltered], [[], true]);

  const old = await fixture(context, { referrers: false });
  old.registry.addImage(REPOSITORY.name, { layers: [] });
  await assert.rejects(old.upstream.listReferrers(REPOSITORY, DIGEST, '', signal), failsWith('MANIFEST_UNKNOWN'));
});

test('what is no list is no answer; what is no tag is passed over', async (context) => {
  for (const body of ['', '{"tags":"all"}', '[]', 'null', '<html>', '{"tags":[']) {
    await assert.rejects((await answering(context, body)).tags(), failsWith('UPSTREAM_FAILED'), body);
  }
  for (const body of ['', '[]', 'null']) {
    await assert.rejects((await answering(context, body)).referrers(), failsWith('UPSTREAM_FAILED'), body);
  }
  const odd = await answering(context, '{"tags":["v1",7,"a/b","",null,"v2\\n"]}');
  assert.deepEqual((await odd.tags()).tags, ['v1']);
  assert.deepEqual((await (await answering(context, '{"tags":null}')).tags()).tags, []);
});

test('of a Link only the query is taken, wherever it points', async (context) => {
  for (const [link, next] of [
    ['</v2/x/tags/list?n=2&last=b>; rel="next"', 'n=2&last=b'],
    ['<https://evil.example/?token=1>; rel=next', 'token=1'],
    ['</a?x=1>; rel="prev", </b?x=2>; title="a, b"; rel="next"', 'x=2'],
    ['<?x=3>;rel="next"', 'x=3'],
    ['</v2/x/tags/list?n=2>; rel="prev"', undefined],
    ['</no/query>; rel="next"', undefined],
    ['nonsense; rel="next"', undefined],
    [`</?x=${'a'.repeat(2000)}>; rel="next"`, undefined],
  ] as const) {
    assert.equal((await (await answering(context, '{"tags":[]}', { link })).tags()).next, next, link);
  }
});

test('a list without end is cut off', async (context) => {
  const { tags } = await answering(context, JSON.stringify({ tags: ['a'.repeat(4 * 1024 * 1024)] }));
  await assert.rejects(tags(), failsWith('UPSTREAM_FAILED', /more than/));
});
