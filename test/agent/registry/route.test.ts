import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRoute } from '../../../agent/registry/route.ts';

const SHA256 = `sha256:${'ab'.repeat(32)}`;
const SHA512 = `sha512:${'0f'.repeat(64)}`;

function repositoryOf(target: string): string {
  const route = parseRoute(target);
  assert.ok(route.kind === 'manifest' || route.kind === 'blob', `${target}: ${JSON.stringify(route)}`);
  return `${route.repository.registry} ${route.repository.name}`;
}

function codeOf(target: string): string {
  const route = parseRoute(target);
  return route.kind === 'refused' ? route.code : route.kind;
}

test('the base of the API, with and without its slash', () => {
  assert.deepEqual(parseRoute('/v2/'), { kind: 'base' });
  assert.deepEqual(parseRoute('/v2'), { kind: 'base' });
  assert.deepEqual(parseRoute('/v2/?ns=ghcr.io'), { kind: 'base' });
});

test('a manifest by tag, a manifest by digest, a blob', () => {
  const repository = { registry: 'docker.io', name: 'library/alpine' };
  assert.deepEqual(parseRoute('/v2/library/alpine/manifests/3.20'), {
    kind: 'manifest',
    repository,
    reference: '3.20',
    namespace: undefined,
  });
  for (const digest of [SHA256, SHA512]) {
    assert.deepEqual(parseRoute(`/v2/library/alpine/manifests/${digest}`), {
      kind: 'manifest',
      repository,
      reference: digest,
      namespace: undefined,
    });
    assert.deepEqual(parseRoute(`/v2/library/alpine/blobs/${digest}?ns=docker.io`), {
      kind: 'blob',
      repository,
      digest,
      namespace: 'docker.io',
    });
  }
});

test('tags and referrers, and what of them', () => {
  const repository = { registry: 'ghcr.io', name: 'tags/app' };
  assert.deepEqual(parseRoute('/v2/ghcr.io/tags/app/tags/list?n=5&last=v1'), {
    kind: 'tags',
    repository,
    name: 'ghcr.io/tags/app',
    n: 5,
    last: 'v1',
    namespace: undefined,
  });
  assert.deepEqual(parseRoute(`/v2/tags/app/referrers/${SHA256}?artifactType=a%2Fb%2Bc&ns=ghcr.io`), {
    kind: 'referrers',
    repository,
    digest: SHA256,
    artifactType: 'a/b+c',
    namespace: 'ghcr.io',
  });
});

test('which registry is meant', () => {
  const cases: [target: string, repository: string][] = [
    ['/v2/alpine/manifests/latest', 'docker.io library/alpine'],
    ['/v2/alpine/manifests/latest?ns=docker.io', 'docker.io library/alpine'],
    ['/v2/docker.io/alpine/manifests/latest', 'docker.io library/alpine'],
    ['/v2/owner/image/manifests/latest', 'docker.io owner/image'],
    ['/v2/ghcr.io/owner/image/manifests/latest', 'ghcr.io owner/image'],
    ['/v2/GHCR.io/owner/image/manifests/latest', 'ghcr.io owner/image'],
    ['/v2/ghcr.io/image/manifests/latest', 'ghcr.io image'],
    ['/v2/localhost/image/manifests/latest', 'localhost image'],
    ['/v2/registry:5000/image/manifests/latest', 'registry:5000 image'],
    ['/v2/owner/image/manifests/latest?ns=quay.io', 'quay.io owner/image'],
    ['/v2/image/manifests/latest?ns=registry.lan%3A5000', 'registry.lan:5000 image'],
    ['/v2/image/manifests/latest?ns=QUAY.io', 'quay.io image'],
    // Docker Hub is one registry, whatever it is called.
    ['/v2/index.docker.io/alpine/manifests/latest', 'docker.io library/alpine'],
    ['/v2/Registry-1.docker.io/owner/image/manifests/latest', 'docker.io owner/image'],
    ['/v2/alpine/manifests/latest?ns=index.docker.io', 'docker.io library/alpine'],
    ['/v2/index.docker.io:443/image/manifests/latest', 'index.docker.io:443 image'],
    // With ns the whole path is the name, even where its first component looks like a host.
    ['/v2/ghcr.io/image/manifests/latest?ns=quay.io', 'quay.io ghcr.io/image'],
    // A dot alone makes no host: a host is followed by a name.
    ['/v2/foo.bar/manifests/latest', 'docker.io library/foo.bar'],
    // The path is read from its end.
    ['/v2/a/manifests/b/blobs/manifests/latest', 'docker.io a/manifests/b/blobs'],
  ];
  for (const [target, repository] of cases) assert.equal(repositoryOf(target), repository, target);
});

test('what breaks a grammar is refused, each with its own code', () => {
  const cases: [target: string, code: string][] = [
    ['/', 'ROUTE_UNKNOWN'],
    ['/v1/', 'ROUTE_UNKNOWN'],
    ['/v2x', 'ROUTE_UNKNOWN'],
    ['http://other/v2/alpine/manifests/latest', 'ROUTE_UNKNOWN'],
    ['/v2/alpine/tags/lists', 'ROUTE_UNKNOWN'],
    ['/v2/tags/list', 'NAME_INVALID'],
    ['/v2/alpine/tags/list?n=1e3', 'REQUEST_INVALID'],
    ['/v2/_catalog', 'ROUTE_UNKNOWN'],
    ['/v2/alpine/referrers/latest', 'DIGEST_INVALID'],
    ['/v2/alpine/blobs/uploads/', 'ROUTE_UNKNOWN'],
    ['/v2/manifests/latest', 'NAME_INVALID'],
    ['/v2//manifests/latest', 'NAME_INVALID'],
    ['/v2/Alpine/manifests/latest', 'NAME_INVALID'],
    ['/v2/a//b/manifests/latest', 'NAME_INVALID'],
    ['/v2/a/../b/manifests/latest', 'NAME_INVALID'],
    ['/v2/../../etc/manifests/latest', 'NAME_INVALID'],
    ['/v2/a/./manifests/latest', 'NAME_INVALID'],
    ['/v2/ghcr.io//manifests/latest', 'NAME_INVALID'],
    ['/v2/[::1]:5000/a/manifests/latest', 'NAME_INVALID'],
    ['/v2/user@host.io/a/manifests/latest', 'NAME_INVALID'],
    [`/v2/${'a'.repeat(256)}/manifests/latest`, 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=', 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=quay.io%0a', 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=quay.io/x', 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=quay.io&ns=ghcr.io', 'NAME_INVALID'],
    ['/v2/a/manifests/', 'TAG_INVALID'],
    ['/v2/a/manifests/.hidden', 'TAG_INVALID'],
    ['/v2/a/manifests/..', 'TAG_INVALID'],
    [`/v2/a/manifests/${'t'.repeat(129)}`, 'TAG_INVALID'],
    ['/v2/a/manifests/sha256:abc', 'DIGEST_INVALID'],
    [`/v2/a/manifests/${SHA256.toUpperCase()}`, 'DIGEST_INVALID'],
    ['/v2/a/blobs/latest', 'DIGEST_INVALID'],
    [`/v2/a/blobs/${SHA256}0`, 'DIGEST_INVALID'],
    [`/v2/a/blobs/md5:${'0'.repeat(32)}`, 'DIGEST_INVALID'],
    ['/v2/a%2fb/manifests/latest', 'REQUEST_INVALID'],
    ['/v2/a/manifests/%2e%2e', 'REQUEST_INVALID'],
    [`/v2/a/manifests/latest?x=${'y'.repeat(3000)}`, 'REQUEST_INVALID'],
  ];
  for (const [target, code] of cases) assert.equal(codeOf(target), code, target);
});

test('whatever is asked, what is let through holds no way out of a directory', () => {
  const segment = fc.oneof(
    fc.constantFrom('..', '.', '', 'v2', 'manifests', 'blobs', 'alpine', 'ghcr.io', SHA256, 'latest', '%2e%2e', '\n'),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 8 }), fc.option(fc.string()), (segments, ns) => {
      const query = ns === null ? '' : `?ns=${encodeURIComponent(ns)}`;
      const route = parseRoute(`/v2/${segments.join('/')}${query}`);
      if (route.kind !== 'manifest' && route.kind !== 'blob') return;
      const parts = [
        route.repository.registry,
        ...route.repository.name.split('/'),
        route.kind === 'blob' ? route.digest : route.reference,
      ];
      for (const part of parts) assert.match(part, /^[a-zA-Z0-9_](?:[a-zA-Z0-9._:-]*)$/);
    }),
    { numRuns: 2000 },
  );
});
