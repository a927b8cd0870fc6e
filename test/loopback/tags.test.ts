import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { command } from '../agent/cli/support.ts';
import { type Host, startHost, until } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
/** How long upstream is waited for with a stale answer in hand. Milliseconds. */
const BUDGET = 2_500;

const lan = lanForEachTest();
const { host } = lan;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'layerlan-tags-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const ask = (of: Host, method = 'GET', tag = 'latest', accept = '*/*') =>
  fetch(`${of.mirror}/v2/library/app/manifests/${tag}`, { method, headers: { accept } });

const manifestRequests = () => lan.upstream.requests.filter(({ kind }) => kind === 'manifest').length;

test('a pull again within the window makes no request upstream at all, after a restart too', async () => {
  lan.upstream.addImage('library/app', { layers: [100_000, 1000], index: true });
  const first = await host({ directory });
  assert.ok((await first.pull('library/app', 'latest')).matches);
  lan.upstream.forget();
  assert.ok((await first.pull('library/app', 'latest')).matches);
  await first.stop();
  const second = await startHost({ upstream: lan.upstream.url, directory });
  lan.hosts = [second];
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.deepEqual(lan.upstream.requests, []);
  assert.match(
    await (await fetch(`${second.mirror}/metrics`)).text(),
    /layerlan_tag_answers_total\{answer="fresh"\} 1\n/,
  );
});

test('a tag that moves is seen after its window', async () => {
  const before = lan.upstream.addImage('library/app', { layers: [1000], seed: 'old' });
  const only = await host({ tags: { fresh: '300ms' } });
  assert.equal((await only.pull('library/app', 'latest')).manifest.digest, before.manifest.digest);
  const after = lan.upstream.addImage('library/app', { layers: [1000], seed: 'new' });
  await until('the tag is seen to have moved', async () => {
    const { manifest, matches } = await only.pull('library/app', 'latest');
    return matches && manifest.digest === after.manifest.digest;
  });
});

test('each pattern has its own window, and what is pinned is asked for once', async () => {
  for (const tag of ['latest', 'nightly', 'v1']) lan.upstream.addImage('library/app', { layers: [10], tag });
  const only = await host({ tags: { fresh: { '*': '1h', night: '1h', 'night*': '0s' }, immutable: ['v*'] } });
  for (const [tag, requests] of [
    ['latest', 1],
    ['nightly', 2],
    ['v1', 1],
  ] as const) {
    lan.upstream.forget();
    await ask(only, 'GET', tag);
    await ask(only, 'HEAD', tag);
    // Of the same bytes: the manifest is held after the first.
    assert.equal(lan.upstream.requests.filter(({ path }) => path.endsWith(`/${tag}`)).length, requests, tag);
  }
});

test('upstream refuses connections: the pull works from the store, with a warning', async () => {
  lan.upstream.addImage('library/app', { layers: [100_000], index: true });
  const only = await host({ tags: { fresh: '0s' } });
  const before = await only.pull('library/app', 'latest');
  assert.equal((await ask(only)).headers.get('warning'), null);
  await lan.upstream.refuse();
  const pulled = await only.pull('library/app', 'latest');
  assert.ok(pulled.matches);
  assert.equal(pulled.manifest.digest, before.manifest.digest);
  for (const method of ['GET', 'HEAD']) {
    const answer = await ask(only, method);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('warning') ?? '', /^299 - ".* [0-9]+ s ago\."$/);
  }
  assert.match(
    await (await fetch(`${only.mirror}/metrics`)).text(),
    /layerlan_tag_answers_total\{answer="stale"\} 3\n/,
  );
  await lan.upstream.comeBack();
  assert.equal((await ask(only)).headers.get('warning'), null);
});

for (const way of ['hangs', 'is gone without a word'] as const) {
  test(`upstream that ${way}: the last answer comes in time`, async () => {
    lan.upstream.addImage('library/app', { layers: [1000] });
    const only = await host({ tags: { fresh: '0s' } });
    await only.pull('library/app', 'latest');
    if (way === 'hangs') lan.upstream.misbehave({ kind: 'black-hole', on: 'any' });
    else await lan.upstream.vanish();
    const since = performance.now();
    const answer = await ask(only);
    assert.equal(answer.status, 200);
    assert.ok(answer.headers.has('warning'));
    assert.ok(performance.now() - since < 3 * BUDGET);
  });
}

test('a rate limit and an error upstream are no reason to fail a pull of what is known', async () => {
  lan.upstream.addImage('library/app', { layers: [1000] });
  const only = await host({ tags: { fresh: '0s' } });
  await only.pull('library/app', 'latest');
  for (const status of [429, 500, 503]) {
    const mend = lan.upstream.misbehave({ kind: 'status', status, on: 'manifest' });
    const answer = await ask(only);
    assert.equal(answer.status, 200, String(status));
    assert.ok(answer.headers.has('warning'));
    mend();
  }
});

for (const [status, told] of [
  [404, 404],
  [403, 403],
  [401, 403],
] as const) {
  test(`upstream's ${status} is told, whatever is known, and not remembered`, async () => {
    lan.upstream.addImage('library/app', { layers: [1000] });
    const only = await host({ tags: { fresh: '0s' } });
    await only.pull('library/app', 'latest');
    const mend = lan.upstream.misbehave({ kind: 'status', status, on: 'manifest' });
    for (const method of ['GET', 'HEAD']) assert.equal((await ask(only, method)).status, told);
    mend();
    assert.equal((await ask(only)).status, 200);
  });
}

test('with upstream away, a manifest that only a peer holds makes the stale tag good', async () => {
  const image = lan.upstream.addImage('library/app', { layers: [100_000] });
  const first = await host();
  assert.ok((await first.pull('library/app', 'latest')).matches);
  const second = await host({ tags: { fresh: '0s' } });
  // HEAD alone: the tag is known, nothing is held.
  assert.equal((await ask(second, 'HEAD')).status, 200);
  await lan.upstream.refuse();
  const pulled = await second.pull('library/app', 'latest');
  assert.ok(pulled.matches);
  assert.equal(pulled.manifest.digest, image.manifest.digest);
  assert.ok((await ask(second)).headers.has('warning'));
});

test('who does not accept what the tag is asks upstream', async () => {
  lan.upstream.addImage('library/app', { layers: [1000], index: true });
  const only = await host();
  assert.equal((await ask(only, 'GET', 'latest', `${INDEX}, ${DOCKER}`)).status, 200);
  const before = manifestRequests();
  await ask(only, 'HEAD', 'latest', DOCKER);
  assert.equal(manifestRequests(), before + 1);
  assert.equal(lan.upstream.requests.at(-1)?.accept, DOCKER);
  await ask(only, 'HEAD', 'latest', INDEX);
  assert.equal(manifestRequests(), before + 1);
});

test('layerlan refresh looks at the tag now, and the next pull has what it found', async () => {
  const before = lan.upstream.addImage('library/app', { layers: [1000], seed: 'old' });
  const only = await host();
  await only.pull('library/app', 'latest');
  const refresh = () => command('refresh', 'app', '--set', `mirror.listen=${only.mirror.slice('http://'.length)}`);
  const same = await refresh();
  assert.equal(same.exit, 0);
  assert.match(
    same.out,
    new RegExp(`^docker\\.io/library/app:latest is ${before.manifest.digest}, as it was .* ago\\.\n$`),
  );
  const after = lan.upstream.addImage('library/app', { layers: [1000], seed: 'new' });
  assert.equal((await only.pull('library/app', 'latest')).manifest.digest, before.manifest.digest);
  assert.match(
    (await refresh()).out,
    new RegExp(`has moved: it is ${after.manifest.digest}; .* ${before.manifest.digest}`),
  );
  lan.upstream.forget();
  assert.equal((await only.pull('library/app', 'latest')).manifest.digest, after.manifest.digest);
  assert.equal(lan.upstream.requests.filter(({ method }) => method === 'HEAD').length, 0);
  lan.upstream.misbehave({ kind: 'status', status: 404, on: 'manifest' });
  const gone = await refresh();
  assert.deepEqual({ exit: gone.exit, out: gone.out }, { exit: 1, out: '' });
  assert.match(gone.err, /^layerlan: docker\.io\/library\/app:latest: [^\n]+ has no manifest latest [^\n]+\n$/);
  assert.equal((await ask(only)).status, 404);
});
