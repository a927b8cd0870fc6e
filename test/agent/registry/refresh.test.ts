import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createApp } from '../../../agent/registry/app.ts';
import { MEDIA_TYPE, MemoryContent, startMirror } from './support.ts';

/** A request with headers that fetch would not send. */
function post(url: string, headers: Record<string, string>, method = 'POST'): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers }, (response) => resolve(response.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
}

test('a tag is looked at, and what it was and is told', async (t) => {
  const { url, content } = await startMirror(t);
  const manifest = content.addManifest('v1', '{}');
  const is = { digest: manifest.digest, mediaType: MEDIA_TYPE, size: 2 };
  const ask = async () => {
    const response = await fetch(`${url}/agent/refresh?image=app:v1`, { method: 'POST' });
    assert.equal(response.status, 200);
    return response.json();
  };
  assert.deepEqual(await ask(), { image: 'docker.io/library/app:v1', was: null, is });
  content.was = { digest: `sha256:${'0'.repeat(64)}` as typeof manifest.digest, checkedAt: 1_763_771_234_567 };
  const was = { digest: content.was.digest, checkedAt: '2025-11-22T00:27:14.567Z' };
  assert.deepEqual(await ask(), { image: 'docker.io/library/app:v1', was, is });
  assert.deepEqual(content.requests.at(-1), {
    repository: { registry: 'docker.io', name: 'library/app' },
    reference: 'v1',
    accept: [],
  });
});

test('what is no image, and what upstream says, is told as an error', async (t) => {
  const { url, content } = await startMirror(t);
  for (const [query, status, code] of [
    ['?image=App', 400, 'IMAGE_INVALID'],
    ['?image=a&image=b', 400, 'REQUEST_INVALID'],
    ['', 400, 'REQUEST_INVALID'],
    ['?image=none', 404, 'MANIFEST_UNKNOWN'],
  ] as const) {
    const response = await fetch(`${url}/agent/refresh${query}`, { method: 'POST' });
    assert.equal(response.status, status, query);
    const { errors } = (await response.json()) as { errors: { detail: { error: string } }[] };
    assert.equal(errors[0]?.detail.error, code);
  }
  content.failure = new AgentError('UPSTREAM_UNREACHABLE', 'away');
  assert.equal((await fetch(`${url}/agent/refresh?image=app`, { method: 'POST' })).status, 502);
});

test('a web page reaches nothing: by POST of its own, by a link, by a name of its own', async (t) => {
  const { url, content } = await startMirror(t);
  content.addManifest('latest', '{}');
  const target = `${url}/agent/refresh?image=app`;
  assert.equal(await post(target, {}), 200);
  const before = content.requests.length;
  assert.equal(await post(target, { origin: 'https://evil.example' }), 403);
  assert.equal(await post(target, { origin: 'null' }), 403);
  assert.equal(await post(target, { 'sec-fetch-site': 'cross-site' }), 403);
  assert.equal(await post(target, { host: 'evil.example' }), 403);
  assert.equal(await post(target, {}, 'GET'), 404);
  assert.equal(content.requests.length, before);
});

test('another machine, which may pull, may not have a tag looked at', async () => {
  const content = new MemoryContent();
  content.addManifest('latest', '{}');
  const app = createApp(
    {
      logger: pino({ level: 'silent' }),
      metrics: createMetrics(),
      content,
      status: () => ({}),
      health: () => ({ ok: true }),
    },
    {
      clientStallTimeout: 1000,
      allowedHosts: new Set(),
      closing: new AbortController().signal,
      isDraining: () => false,
      admit: ({ name }) => {
        if (name.endsWith('denied')) throw new AgentError('REPOSITORY_NOT_ALLOWED', 'not this one');
      },
    },
  );
  const from = async (remoteAddress: string, method: 'GET' | 'POST', url: string) =>
    (await app.inject({ method, url, remoteAddress })).statusCode;
  assert.equal(await from('192.0.2.6', 'GET', '/v2/app/manifests/latest'), 200);
  assert.equal(await from('127.0.0.1', 'POST', '/agent/refresh?image=app'), 200);
  assert.equal(await from('127.0.0.1', 'POST', '/agent/refresh?image=denied'), 403);
  const before = content.requests.length;
  assert.equal(await from('192.0.2.6', 'POST', '/agent/refresh?image=app'), 403);
  assert.equal(content.requests.length, before);
  await app.close();
});
