import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { AgentError, ERRORS, type ErrorCode } from '../../../agent/errors.ts';
import { dial, MEDIA_TYPE, requestText, startMirror } from './support.ts';

const ABSENT = `sha256:${'0'.repeat(64)}`;

async function errorOf(
  response: Response,
): Promise<{ code: string; message: string; detail: { error: string } | null }> {
  const body = (await response.json()) as { errors: [{ code: string; message: string; detail: { error: string } }] };
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.equal(body.errors.length, 1);
  return body.errors[0];
}

test('a connection is kept for longer than Go’s clients keep theirs', async (t) => {
  const { url } = await startMirror(t);
  const response = await fetch(`${url}/v2/`);
  await response.arrayBuffer();
  const [, seconds] = /timeout=(\d+)/.exec(response.headers.get('keep-alive') ?? '') ?? [];
  assert.ok(Number(seconds) > 90, `${seconds} s`);
});

test('the base says which API this is', async (t) => {
  const { url } = await startMirror(t);
  for (const path of ['/v2/', '/v2', '/v2/?ns=ghcr.io']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('docker-distribution-api-version'), 'registry/2.0');
    assert.equal(await response.text(), '{}');
  }
});

test('a manifest by tag and by digest, GET and HEAD', async (t) => {
  const { url, content } = await startMirror(t);
  const manifest = content.addManifest('v1', '{"schemaVersion":2,  "as":"stored"}');
  for (const reference of ['v1', manifest.digest]) {
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(`${url}/v2/owner/image/manifests/${reference}?ns=ghcr.io`, {
        method,
        headers: [
          ['Accept', MEDIA_TYPE],
          ['Accept', '*/*'],
          ['Accept-Encoding', 'zstd, gzip, deflate'],
        ],
      });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), MEDIA_TYPE, 'exactly, with no charset');
      assert.equal(response.headers.get('content-length'), String(manifest.bytes.length));
      assert.equal(response.headers.get('docker-content-digest'), manifest.digest);
      assert.equal(response.headers.get('etag'), `"${manifest.digest}"`);
      assert.equal(response.headers.get('oci-namespace'), 'ghcr.io');
      assert.equal(response.headers.get('content-encoding'), null);
      assert.equal(await response.text(), method === 'GET' ? '{"schemaVersion":2,  "as":"stored"}' : '');
    }
  }
  assert.deepEqual(content.requests[0], {
    repository: { registry: 'ghcr.io', name: 'owner/image' },
    reference: 'v1',
    accept: [MEDIA_TYPE, '*/*'],
  });
});

test('a stale tag comes with a warning that says how old it is; what upstream confirmed with none', async (t) => {
  const { url, content } = await startMirror(t);
  const manifest = content.addManifest('v1', '{}');
  for (const method of ['GET', 'HEAD']) {
    content.manifests.set('v1', { ...manifest, staleFor: 185_400 });
    const stale = await fetch(`${url}/v2/alpine/manifests/v1`, { method });
    assert.equal(stale.status, 200);
    assert.match(stale.headers.get('warning') ?? '', /^299 - "[^"\\]* 185 s ago\."$/);
    content.manifests.set('v1', manifest);
    assert.equal((await fetch(`${url}/v2/alpine/manifests/v1`, { method })).headers.get('warning'), null);
  }
});

test('a blob whole, GET and HEAD; a Range means nothing on HEAD', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest, bytes } = content.addBlob(300_000);
  for (const method of ['GET', 'HEAD']) {
    const headers = method === 'HEAD' ? { Range: 'bytes=5-9' } : {};
    const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { method, headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/octet-stream');
    assert.equal(response.headers.get('content-length'), '300000');
    assert.equal(response.headers.get('docker-content-digest'), digest);
    assert.equal(response.headers.get('etag'), `"${digest}"`);
    assert.equal(response.headers.get('accept-ranges'), 'bytes');
    assert.equal(response.headers.get('oci-namespace'), null);
    const body = Buffer.from(await response.arrayBuffer());
    assert.ok(body.equals(method === 'GET' ? bytes : Buffer.alloc(0)));
  }
  assert.equal(content.open, 0);
});

test('an empty blob', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest } = content.addBlob(0);
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-length'), '0');
  assert.equal((await response.arrayBuffer()).byteLength, 0);
});

test('ranges of a blob', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest, bytes } = content.addBlob(200_000);
  const get = (headers: Record<string, string>) => fetch(`${url}/v2/alpine/blobs/${digest}`, { headers });
  const parts: [range: string, start: number, end: number][] = [
    ['bytes=0-', 0, 200_000],
    ['bytes=150000-', 150_000, 200_000],
    ['bytes=0-1', 0, 2],
    ['bytes=-10', 199_990, 200_000],
  ];
  for (const [range, start, end] of parts) {
    const response = await get({ Range: range });
    assert.equal(response.status, 206, range);
    assert.equal(response.headers.get('content-range'), `bytes ${start}-${end - 1}/200000`);
    assert.equal(response.headers.get('content-length'), String(end - start));
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(start, end)), range);
  }

  for (const range of ['bytes=200000-', 'bytes=9-3']) {
    const outside = await get({ Range: range });
    assert.equal(outside.status, 416, range);
    assert.equal(outside.headers.get('content-range'), 'bytes */200000');
    assert.equal((await errorOf(outside)).detail?.error, 'RANGE_UNSATISFIABLE');
  }

  for (const range of ['bytes=0-1,x', 'pages=1-2']) {
    const whole = await get({ Range: range });
    assert.equal(whole.status, 200, range);
    assert.equal((await whole.arrayBuffer()).byteLength, 200_000);
  }
  const stale = await get({ Range: 'bytes=0-1', 'If-Range': '"another"' });
  assert.equal(stale.status, 200);
  await stale.arrayBuffer();
  const current = await get({ Range: 'bytes=0-1', 'If-Range': `"${digest}"` });
  assert.equal(current.status, 206);
  await current.arrayBuffer();
  assert.equal(content.open, 0);
});

test('what the client has is not sent again', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest } = content.addBlob(10);
  const manifest = content.addManifest('v1', '{}');
  const known = [
    [`/v2/alpine/blobs/${digest}`, `W/"x", "${digest}"`],
    ['/v2/alpine/manifests/v1', `"${manifest.digest}"`],
  ] as const;
  for (const [path, etag] of known) {
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(url + path, { method, headers: { 'If-None-Match': etag } });
      assert.equal(response.status, 304);
      assert.equal(await response.text(), '');
    }
    const changed = await fetch(url + path, { headers: { 'If-None-Match': '"other"' } });
    assert.equal(changed.status, 200);
    await changed.arrayBuffer();
  }
  assert.equal(content.open, 0);
});

test('every error of the table reaches a client as the table says: never 401, never 429', async (t) => {
  const { url, content } = await startMirror(t);
  for (const [code, entry] of Object.entries(ERRORS)) {
    content.failure = new AgentError(code as ErrorCode, 'What went wrong.');
    for (const path of ['manifests/v1', `blobs/${ABSENT}`]) {
      const response = await fetch(`${url}/v2/alpine/${path}`);
      assert.ok(![401, 429].includes(response.status), code);
      assert.equal(response.status, 'status' in entry ? entry.status : 500, code);
      const error = await errorOf(response);
      assert.equal(error.code, 'oci' in entry ? entry.oci : 'UNKNOWN');
      assert.equal(error.message === 'What went wrong.', 'status' in entry);
      const head = await fetch(`${url}/v2/alpine/${path}`, { method: 'HEAD' });
      assert.equal(head.status, response.status);
    }
  }
});

test('an error has no headers of the body that did not come', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest } = content.addBlob(10);
  content.openBlob = async () => ({
    digest,
    size: 10,
    close: () => {},
    read: () => {
      throw new AgentError('UPSTREAM_UNREACHABLE', 'It is away.');
    },
  });
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: { Range: 'bytes=2-5' } });
  assert.equal(response.status, 502);
  for (const name of ['content-range', 'docker-content-digest', 'etag', 'accept-ranges']) {
    assert.equal(response.headers.get(name), null, name);
  }
  assert.equal((await errorOf(response)).message, 'It is away.');
});

test('an error nobody expected is told to the log, not to the client', async (t) => {
  const { url, content, log } = await startMirror(t);
  content.failure = new TypeError('secret of /etc/passwd');
  const response = await fetch(`${url}/v2/alpine/manifests/v1`);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret|TypeError|\.ts/);
  assert.equal(log.length, 1);
  assert.equal(log[0]?.level, 50);
  assert.match(JSON.stringify(log[0]), /secret of/);
});

test('what a client was refused is in the log for those who look: what, why, and under which host name', async (t) => {
  const { url, log } = await startMirror(t);
  const { host } = new URL(url);
  await fetch(`${url}/v2/alpine/manifests/${'x'.repeat(1000)}`);
  await fetch(`${url}/v2/alpine/blobs/${ABSENT}`, { headers: { Origin: 'http://web.page' } });
  const told = log.map(({ level, code, method, status, host }) => ({ level, code, method, status, host }));
  assert.deepEqual(told, [
    { level: 20, code: 'TAG_INVALID', method: 'GET', status: 404, host },
    { level: 20, code: 'REQUEST_DENIED', method: 'GET', status: 403, host },
  ]);
  assert.equal(String(log[0]?.url).length, 500);
});

test('writes and deletes are refused with what is allowed; so is what is not there', async (t) => {
  const { url } = await startMirror(t);
  const writes = [
    ['POST', '/v2/alpine/blobs/uploads/'],
    ['PUT', '/v2/alpine/manifests/v1'],
    ['PATCH', '/v2/alpine/blobs/uploads/1'],
    ['DELETE', `/v2/alpine/blobs/${ABSENT}`],
    ['OPTIONS', '/v2/'],
  ] as const;
  for (const [method, path] of writes) {
    const body = method === 'PUT' ? { body: '{"schemaVersion":2}', headers: { 'Content-Type': MEDIA_TYPE } } : {};
    const response = await fetch(url + path, { method, ...body });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get('allow'), 'GET, HEAD');
    assert.equal((await errorOf(response)).code, 'UNSUPPORTED');
  }
  for (const path of ['/', '/v2/alpine/tags/other', '/v3/', '/v2/_catalog', '/status/x']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 404, path);
    assert.equal((await errorOf(response)).detail?.error, 'ROUTE_UNKNOWN');
  }
  for (const path of ['/v2/%zz/manifests/v1', '/v2/a%2fb/manifests/v1', '/%']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 400, path);
    await errorOf(response);
  }
});

test('the longest names there are get through the router', async (t) => {
  const { url, content } = await startMirror(t);
  content.addManifest('t'.repeat(128), '{}');
  const response = await fetch(`${url}/v2/a/${'b'.repeat(253)}/manifests/${'t'.repeat(128)}`);
  assert.equal(response.status, 200);
  await response.text();
});

test('traversal as it comes on the wire, past any client that would tidy it', async (t) => {
  const { port, content } = await startMirror(t);
  for (const path of ['/v2/../../etc/passwd', '/v2/a/../../b/manifests/v1', '/v2/a/blobs/../manifests/v1', '/..']) {
    const socket = await dial(t, port);
    socket.write(requestText(path, 'Connection: close\r\n'));
    assert.match(await text(socket), /^HTTP\/1\.1 40[04] /, path);
  }
  assert.equal(content.requests.length, 0);
});

test('web pages and foreign names get nothing, not even the status', async (t) => {
  const { url, port } = await startMirror(t);
  for (const path of ['/v2/', '/status', '/metrics', '/healthz', '/nowhere', '/%']) {
    const response = await fetch(url + path, { headers: { Origin: 'https://evil.example' } });
    assert.equal(response.status, 403, path);
    assert.equal((await errorOf(response)).code, 'DENIED');
    assert.equal(response.headers.get('access-control-allow-origin'), null);
    const socket = await dial(t, port);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: evil.example:${port}\r\nConnection: close\r\n\r\n`);
    assert.match(await text(socket), /^HTTP\/1\.1 403 /);
  }
});

test('an allowed name is let in', async (t) => {
  const { port } = await startMirror(t, { allowedHosts: ['Mirror.lan'] });
  const socket = await dial(t, port);
  socket.write(`GET /v2/ HTTP/1.1\r\nHost: mirror.lan:${port}\r\nConnection: close\r\n\r\n`);
  assert.match(await text(socket), /^HTTP\/1\.1 200 /);
});

test('health, status and metrics', async (t) => {
  const bench = await startMirror(t);
  const health = await fetch(`${bench.url}/healthz`);
  assert.equal(health.status, 200);
  assert.deepEqual(await health.json(), { ok: true, draining: false });
  bench.health = { ok: false };
  const ill = await fetch(`${bench.url}/healthz`);
  assert.equal(ill.status, 503);
  await ill.json();
  assert.deepEqual(await (await fetch(`${bench.url}/status`)).json(), { version: 'x' });
  const metrics = await fetch(`${bench.url}/metrics`);
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await metrics.text(), /^layerlan_upstream_bytes_total 0$/m);
});
