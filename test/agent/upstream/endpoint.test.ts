import assert from 'node:assert/strict';
import test from 'node:test';
import { endpointsOf, resourceUrl } from '../../../agent/upstream/endpoint.ts';
import { upstreamOptions } from '../../../agent/upstream/options.ts';
import { failsWith } from './fixture.ts';

const { registries } = upstreamOptions({
  registries: {
    'ghcr.io': { endpoints: ['http://cache.lan:5000/ghcr/', 'https://ghcr.io'] },
    'none.example': { endpoints: [] },
    'bad.example': { endpoints: ['ftp://bad.example'] },
  },
});

test('docker.io by default, others at their own names', () => {
  assert.deepEqual(endpointsOf({ registry: 'docker.io', name: 'a' }, registries), [
    { origin: 'https://registry-1.docker.io', prefix: '', isConfigured: true },
  ]);
  assert.deepEqual(endpointsOf({ registry: 'quay.io:8443', name: 'a' }, registries), [
    { origin: 'https://quay.io:8443', prefix: '', isConfigured: false },
  ]);
});

test('as written, in order, with their paths', () => {
  const repository = { registry: 'ghcr.io', name: 'owner/image' };
  const endpoints = endpointsOf(repository, registries);
  assert.deepEqual(
    endpoints.map((endpoint) => resourceUrl(endpoint, repository, { kind: 'manifest', reference: 'v1' }).href),
    ['http://cache.lan:5000/ghcr/v2/owner/image/manifests/v1', 'https://ghcr.io/v2/owner/image/manifests/v1'],
  );
});

test('names that are no registry, and endpoints that are no URL', () => {
  for (const registry of ['__proto__', 'user@host', 'a/b', '', 'none.example', 'bad.example']) {
    assert.throws(() => endpointsOf({ registry, name: 'a' }, registries), failsWith('UPSTREAM_FAILED'), registry);
  }
  // A name that every object has is an ordinary host name.
  assert.equal(endpointsOf({ registry: 'constructor', name: 'a' }, registries)[0].origin, 'https://constructor');
});
