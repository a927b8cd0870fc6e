import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRoute, type Route } from '../../../agent/registry/route.ts';

type Content = Extract<Route, { kind: 'manifest' | 'blob' }>;

const component = fc.stringMatching(/^[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
const name = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const registry = fc.oneof(
  fc.constantFrom('docker.io', 'localhost', 'ghcr.io', 'registry'),
  fc.stringMatching(/^[a-z0-9]{1,5}(\.[a-z0-9]([a-z0-9-]{0,3}[a-z0-9])?){0,3}(:[0-9]{1,5})?$/),
);
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
const digest = fc.oneof(
  fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}`),
  fc.stringMatching(/^[0-9a-f]{128}$/).map((hex) => `sha512:${hex}`),
);

/** The one target that says all: with the registry as `ns`, nothing is left to guess. */
function written(route: Content): string {
  const what = route.kind === 'blob' ? `blobs/${route.digest}` : `manifests/${route.reference}`;
  return `/v2/${route.repository.name}/${what}?ns=${encodeURIComponent(route.repository.registry)}`;
}

function contentOf(target: string): Content | undefined {
  const route = parseRoute(target);
  return route.kind === 'manifest' || route.kind === 'blob' ? route : undefined;
}

const assertSame = (target: string, route: Content) =>
  assert.deepEqual(contentOf(written(route)), { ...route, namespace: route.repository.registry }, target);

test('every repository, tag and digest of the grammar is read as it was written, by ns and by path', () => {
  fc.assert(
    fc.property(registry, name, fc.oneof(tag, digest), (host, path, reference) => {
      const isDigest = reference.includes(':');
      for (const noun of isDigest ? ['manifests', 'blobs'] : ['manifests']) {
        const route = contentOf(`/v2/${path}/${noun}/${reference}?ns=${encodeURIComponent(host)}`);
        assert.ok(route !== undefined, `${host} ${path} ${reference}`);
        const official = host === 'docker.io' && !path.includes('/');
        assert.deepEqual(route.repository, { registry: host, name: official ? `library/${path}` : path });
        assert.equal(route.kind === 'blob' ? route.digest : route.reference, reference);
        assert.equal(route.namespace, host);
        assertSame(path, route);
        if (!/[.:]|^localhost$/.test(host)) continue;
        // podman's way.
        assert.deepEqual(contentOf(`/v2/${host}/${path}/${noun}/${reference}`)?.repository, route.repository);
      }
    }),
  );
});

test('whatever is let through is read the same again, once it is written out', () => {
  const piece = fc.oneof(
    component,
    registry,
    tag,
    digest,
    fc.constantFrom('..', '.', '', 'manifests', 'blobs', 'v2', 'GHCR.IO', 'a:1', '%2e', '\n', 'A'),
  );
  const end = fc
    .tuple(fc.constantFrom('manifests', 'blobs'), fc.oneof(tag, digest, piece))
    .map((parts) => parts.join('/'));
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), end, fc.option(fc.oneof(registry, piece)), (pieces, last, ns) => {
      const target = `/v2/${[...pieces, last].join('/')}${ns === null ? '' : `?ns=${encodeURIComponent(ns)}`}`;
      const route = contentOf(target);
      if (route === undefined) return;
      accepted += 1;
      assertSame(target, route);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(accepted > 100, `only ${accepted} were let through: this shows nothing`);
});
