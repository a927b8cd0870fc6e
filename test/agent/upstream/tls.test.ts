import assert from 'node:assert/strict';
import test from 'node:test';
import { createAuthority } from '../../support/certificates.ts';
import { startUpstreamRegistry } from '../../support/upstream-registry.ts';
import { client, failsWith, PATIENCE, REPOSITORY, readAll } from './fixture.ts';

const OTHER = { registry: 'other.example', name: REPOSITORY.name };

test('a registry’s own CA is trusted for it, its storage and its tokens, and for nobody else', async (context) => {
  const authority = createAuthority();
  const tls = authority.issue('127.0.0.1');
  const registry = await startUpstreamRegistry({ tls, auth: 'bearer' });
  context.after(() => registry.close());
  const image = registry.addImage(REPOSITORY.name, { layers: [1000] });
  registry.misbehave({ kind: 'redirect' });
  const [layer] = image.layers;
  assert.ok(layer);
  const endpoints = [registry.url];
  const registries = { 'docker.io': { endpoints, ca: authority.cert }, 'other.example': { endpoints } };
  const { upstream } = client(context, { registries });
  const signal = AbortSignal.timeout(PATIENCE);

  assert.equal((await upstream.getManifest(REPOSITORY, 'latest', [], signal)).digest, image.manifest.digest);
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  assert.deepEqual(await readAll(body), registry.blobBytes(layer.digest));
  assert.deepEqual(
    registry.requests.map(({ kind, status }) => `${kind} ${status}`),
    ['manifest 401', 'token 200', 'manifest 200', 'blob 307', 'storage 200'],
  );
  registry.forget();
  await assert.rejects(
    upstream.getManifest(OTHER, 'latest', [], signal),
    failsWith('UPSTREAM_FAILED', /^127\.0\.0\.1:\d+ has a certificate of an unknown CA \([A-Z_]+\); name the CA/),
  );
  assert.equal(registry.requests.length, 0);
});

test('a CA vouches for the names in its certificates only, and another CA for none of them', async (context) => {
  const authority = createAuthority();
  const registry = await startUpstreamRegistry({ tls: authority.issue('registry.example') });
  context.after(() => registry.close());
  const endpoints = [registry.url];
  const registries = {
    'docker.io': { endpoints, ca: authority.cert },
    // By the same name, as an attacker's would be.
    'other.example': { endpoints, ca: createAuthority().cert },
  };
  const { upstream } = client(context, { registries });
  const signal = AbortSignal.timeout(PATIENCE);
  for (const [repository, code] of [
    [REPOSITORY, /ERR_TLS_CERT_ALTNAME_INVALID/],
    [OTHER, /CA/],
  ] as const) {
    await assert.rejects(upstream.headManifest(repository, 'latest', [], signal), failsWith('UPSTREAM_FAILED', code));
  }
  assert.equal(registry.requests.length, 0);
});
