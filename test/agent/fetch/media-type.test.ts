import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mediaTypeOf } from '../../../agent/fetch/media-type.ts';

const of = (value: unknown) => mediaTypeOf(Buffer.from(JSON.stringify(value)));

test('a manifest’s own word comes first', () => {
  const docker = 'application/vnd.docker.distribution.manifest.v2+json';
  assert.equal(of({ mediaType: docker, config: {}, layers: [] }), docker);
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
  assert.equal(of({}), undefined);
  assert.equal(mediaTypeOf(Buffer.from('{')), undefined);
});
