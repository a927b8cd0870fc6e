import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isManifestType, mediaTypeOf } from '../../../agent/fetch/media-type.ts';

const of = (value: unknown, told?: string) => mediaTypeOf(Buffer.from(JSON.stringify(value)), told);

test('a manifest’s own word comes first', () => {
  const docker = 'application/vnd.docker.distribution.manifest.v2+json';
  assert.equal(of({ mediaType: docker, config: {}, layers: [] }), docker);
});

test('its registry’s word comes behind it, where that says anything', () => {
  const docker = 'application/vnd.docker.distribution.manifest.v2+json';
  const signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  assert.equal(of({ mediaType: docker, config: {} }, signed), docker);
  assert.equal(of({ fsLayers: [] }, signed), signed);
  for (const nothing of ['text/html', 'text/plain', 'application/json', 'application/octet-stream', 'x', 'a/b\n']) {
    assert.equal(isManifestType(nothing), false, nothing);
    assert.equal(of({ fsLayers: [] }, nothing), undefined, nothing);
    assert.equal(of({ manifests: [] }, nothing), 'application/vnd.oci.image.index.v1+json');
  }
});

test('without one, its fields tell', () => {
  assert.equal(of({ manifests: [] }), 'application/vnd.oci.image.index.v1+json');
  assert.equal(of({ config: {}, layers: [] }), 'application/vnd.oci.image.manifest.v1+json');
});

test('what could not go into a header is not taken', () => {
  assert.equal(of({ mediaType: 'text/x\r\nSet-Cookie: a', manifests: [] }), 'application/vnd.oci.image.index.v1+json');
});

test('what is no manifest has no media type', () => {
  assert.equal(of([]), undefined);
  assert.equal(of([], 'application/vnd.oci.image.index.v1+json'), undefined);
  assert.equal(of({}), undefined);
  assert.equal(mediaTypeOf(Buffer.from('{')), undefined);
});
