import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { startMirror } from './support.ts';

const SHA512 = `sha512:${'0f'.repeat(64)}`;
const DOCKER = { registry: 'docker.io', name: 'library/alpine' };

test('tags, with a Link to where they go on, as the client has named the repository', async (t) => {
  const { url, content } = await startMirror(t);
  content.tags = ['v1', 'v2', 'v3'];
  for (const [path, name, link] of [
    ['alpine/tags/list', 'alpine', null],
    ['alpine/tags/list?n=2', 'alpine', '</v2/alpine/tags/list?n=2&last=v2>; rel="next"'],
    ['alpine/tags/list?n=3', 'alpine', null],
    ['a/b/tags/list?n=1&ns=ghcr.io', 'a/b', '</v2/a/b/tags/list?ns=ghcr.io&n=1&last=v1>; rel="next"'],
    ['ghcr.io/a/b/tags/list?n=1', 'ghcr.io/a/b', '</v2/ghcr.io/a/b/tags/list?n=1&last=v1>; rel="next"'],
    ['alpine/tags/list?n=0', 'alpine', null],
  ] as const) {
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(`${url}/v2/${path}`, { method });
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get('content-type'), 'application/json');
      assert.equal(response.headers.get('link'), link, path);
      const body = await response.text();
      if (method === 'HEAD') assert.equal(body, '');
      else
        assert.deepEqual(JSON.parse(body), {
          name,
          tags: content.tags.slice(0, Number(/n=(\d)/.exec(path)?.[1] ?? 9)),
        });
    }
  }
  await (await fetch(`${url}/v2/alpine/tags/list?n=2&last=v1`)).text();
  const { repository, n, last } = content.requests.at(-1) as { repository: object; n: number; last: string };
  assert.deepEqual({ repository, n, last }, { repository: DOCKER, n: 2, last: 'v1' });
});

test('referrers, with the filter that was applied', async (t) => {
  const { url, content } = await startMirror(t);
  content.referrers = '{"schemaVersion":2,"manifests":[{}]}';
  for (const [query, artifactType] of [
    ['', undefined],
    ['?artifactType=a%2Fb', 'a/b'],
    ['?artifactType=', undefined],
  ] as const) {
    const response = await fetch(`${url}/v2/alpine/referrers/${SHA512}${query}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/vnd.oci.image.index.v1+json');
    assert.equal(response.headers.get('oci-filters-applied'), artifactType === undefined ? null : 'artifactType');
    assert.equal(await response.text(), content.referrers);
    const asked = content.requests.at(-1) as { repository: object; digest: string; artifactType: string | undefined };
    assert.deepEqual([asked.repository, asked.digest, asked.artifactType], [DOCKER, SHA512, artifactType]);
  }
});

test('what makes no sense is refused before anybody is asked', async (t) => {
  const { url, content } = await startMirror(t);
  for (const [path, code] of [
    ['alpine/tags/list?n=x', 'REQUEST_INVALID'],
    ['alpine/tags/list?n=-1', 'REQUEST_INVALID'],
    ['alpine/tags/list?n=1e3', 'REQUEST_INVALID'],
    ['Alpine/tags/list', 'NAME_INVALID'],
    ['alpine/tags/list?ns=a&ns=b', 'NAME_INVALID'],
    ['alpine/referrers/latest', 'DIGEST_INVALID'],
    ['alpine/referrers/sha256:abc', 'DIGEST_INVALID'],
  ] as const) {
    const response = await fetch(`${url}/v2/${path}`);
    assert.equal(response.status, 400, path);
    assert.equal(
      ((await response.json()) as { errors: { detail: { error: string } }[] }).errors[0]?.detail.error,
      code,
    );
  }
  assert.equal(content.requests.length, 0);
});

test('a list that failed has no Link and no filter', async (t) => {
  const { url, content } = await startMirror(t);
  content.failure = new AgentError('UPSTREAM_UNREACHABLE', 'It is away.');
  for (const path of ['tags/list?n=1', `referrers/${SHA512}?artifactType=a`]) {
    const response = await fetch(`${url}/v2/alpine/${path}`);
    assert.equal(response.status, 502);
    assert.equal(response.headers.get('oci-filters-applied'), null);
    await response.text();
  }
});
