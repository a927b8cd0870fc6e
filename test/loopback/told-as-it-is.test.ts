import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { type Digest, toDigest } from '../../protocol/digest.ts';
import { type Host, startHost } from '../support/host.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

let upstream: UpstreamRegistry;
let host: Host;
let layer: { digest: Digest; size: number };
/** One path of each kind, none of it held. */
let paths: Record<'tag' | 'digest' | 'blob' | 'part' | 'tags' | 'referrers', string>;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  host = await startHost({ upstream: upstream.url });
  const image = upstream.addImage('library/app', { layers: [8 * MIB] });
  layer = image.layers[0]!;
  paths = {
    tag: 'manifests/latest',
    digest: `manifests/${image.manifest.digest}`,
    blob: `blobs/${image.config.digest}`,
    part: `blobs/${layer.digest}`,
    tags: 'tags/list',
    referrers: `referrers/${image.manifest.digest}`,
  };
});

afterEach(async () => {
  await host.stop();
  await upstream.close();
});

async function get(kind: keyof typeof paths, method = 'GET') {
  const headers: Record<string, string> = kind === 'part' ? { Range: 'bytes=100-199' } : {};
  const response = await fetch(`${host.mirror}/v2/library/app/${paths[kind]}`, { method, headers });
  const text = await response.text();
  const isError = response.status >= 400 && method === 'GET';
  const [error] = isError ? (JSON.parse(text) as { errors: { code: string; message: string }[] }).errors : [];
  return { status: response.status, code: error?.code, message: error?.message ?? '', headers: response.headers };
}

/** In this order: a tag's manifest, once it was had, is held by its digest. */
const KINDS = ['digest', 'tag', 'blob', 'part', 'tags', 'referrers'] as const;

for (const status of [401, 403]) {
  test(`upstream's ${status} is DENIED, never a challenge, and forgotten at once`, async () => {
    for (const kind of KINDS) {
      const behave = upstream.misbehave({ kind: 'status', status, on: 'any' });
      for (const method of ['GET', 'HEAD']) {
        const denied = await get(kind, method);
        assert.equal(denied.status, 403, `${method} ${kind}`);
        assert.equal(denied.headers.get('www-authenticate'), null);
        if (method === 'GET') assert.equal(denied.code, 'DENIED');
      }
      behave();
      assert.ok([200, 206].includes((await get(kind)).status), kind);
    }
  });
}

test('upstream’s 404 is told with the code of what is not there, and what comes later is found', async () => {
  const bytes = Buffer.alloc(3 * MIB, 1);
  const later = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [] }));
  const asked = [
    ['library/app/manifests/later', 'MANIFEST_UNKNOWN'],
    [`library/app/manifests/${digestOf(later)}`, 'MANIFEST_UNKNOWN'],
    [`library/app/blobs/${digestOf(bytes)}`, 'BLOB_UNKNOWN'],
    ['library/later/tags/list', 'NAME_UNKNOWN'],
  ] as const;
  for (const [path, code] of asked) {
    for (const method of ['HEAD', 'GET']) {
      const response = await fetch(`${host.mirror}/v2/${path}`, { method });
      assert.equal(response.status, 404, path);
      const text = await response.text();
      if (method === 'GET') assert.equal(JSON.parse(text).errors[0].code, code);
    }
  }
  upstream.addBlob('library/app', bytes);
  upstream.addManifest('library/app', MANIFEST, later, 'later');
  upstream.addManifest('library/later', MANIFEST, later, 'v1');
  for (const [path] of asked) {
    const response = await fetch(`${host.mirror}/v2/${path}`);
    assert.equal(response.status, 200, path);
    await response.arrayBuffer();
  }
});

test('upstream’s 429 is waited out where it names a short time', async () => {
  for (const kind of KINDS) {
    const headers = { 'retry-after': '0' };
    const behave = upstream.misbehave({ kind: 'status', status: 429, headers, on: 'any', times: 1 });
    assert.ok([200, 206].includes((await get(kind)).status), kind);
    behave();
  }
});

test('and is a 503 with TOOMANYREQUESTS where waiting does not help', async () => {
  for (const headers of [{ 'retry-after': '3600' }, {}]) {
    for (const kind of KINDS) {
      const behave = upstream.misbehave({ kind: 'status', status: 429, headers, on: 'any' });
      const limited = await get(kind);
      assert.deepEqual([limited.status, limited.code], [503, 'TOOMANYREQUESTS'], kind);
      behave();
      assert.ok([200, 206].includes((await get(kind)).status), kind);
    }
    // What was answered is held now; the next round needs what is not.
    if ('retry-after' in headers) await freshHost();
  }
});

test('lists need upstream, and say so when it is away', async () => {
  await upstream.refuse();
  for (const kind of ['tags', 'referrers'] as const) {
    const away = await get(kind);
    assert.equal(away.status, 502, kind);
    assert.match(away.message, /cannot be reached/);
  }
});

test('tags and referrers as upstream has them now', async () => {
  const { digest } = upstream.addManifest('library/app', MANIFEST, Buffer.from('{}'), 'v2');
  const tags = await fetch(`${host.mirror}/v2/library/app/tags/list?n=1`);
  assert.deepEqual(await tags.json(), { name: 'library/app', tags: ['latest'] });
  assert.equal(tags.headers.get('link'), '</v2/library/app/tags/list?n=1&last=latest>; rel="next"');
  const rest = await fetch(`${host.mirror}/v2/library/app/tags/list?n=1&last=latest`);
  assert.deepEqual(await rest.json(), { name: 'library/app', tags: ['v2'] });
  const none = await fetch(`${host.mirror}/v2/library/app/referrers/${digest}`);
  assert.deepEqual(((await none.json()) as { manifests: unknown[] }).manifests, []);
  const subject = { mediaType: MANIFEST, digest, size: 2 };
  upstream.addManifest('library/app', MANIFEST, Buffer.from(JSON.stringify({ subject, artifactType: 'a/b' })));
  const one = await fetch(`${host.mirror}/v2/library/app/referrers/${digest}?artifactType=a/b`);
  assert.equal(one.headers.get('oci-filters-applied'), 'artifactType');
  assert.equal(((await one.json()) as { manifests: unknown[] }).manifests.length, 1);
});

async function freshHost(): Promise<void> {
  await host.stop();
  host = await startHost({ upstream: upstream.url });
}

function digestOf(bytes: Buffer): Digest {
  return toDigest('sha256', hash('sha256', bytes, 'buffer'));
}
