import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { descriptorsOf, vouchedBy } from '../../../agent/oci/manifest.ts';

const digest = (n: number) => `sha256:${n.toString(16).padStart(64, '0')}`;
const of = (value: unknown) => descriptorsOf(Buffer.from(JSON.stringify(value)));

test('config, layers, manifests and subject are all there', () => {
  assert.deepEqual(
    of({
      config: { digest: digest(1), size: 1, mediaType: 'x' },
      layers: [
        { digest: digest(2), size: 2 },
        { digest: digest(3), size: 3 },
      ],
      manifests: [{ digest: digest(4), size: 4 }],
      subject: { digest: digest(5), size: 5 },
    }).map(({ size }) => size),
    [1, 5, 2, 3, 4],
  );
});

test('a registry vouches for config, layers and manifests; not for what it takes on the manifest’s word', () => {
  const manifest = {
    config: { digest: digest(1), size: 1 },
    layers: [{ digest: digest(2), size: 2 }, { digest: digest(3), size: 3, urls: ['https://example.org'] }, 7],
    manifests: [{ digest: digest(4) }, { digest: 'sha256:..' }],
    subject: { digest: digest(5), size: 5 },
    blobs: [{ digest: digest(6), size: 6 }],
  };
  assert.deepEqual(vouchedBy(Buffer.from(JSON.stringify(manifest))), [digest(1), digest(2), digest(4)]);
  assert.deepEqual(vouchedBy(Buffer.from('[')), []);
});

test('what is not well formed is passed over, what is beside it is not', () => {
  const layers = [
    { digest: 'sha256:../..', size: 1 },
    { digest: digest(1), size: -1 },
    null,
    7,
    { digest: digest(2), size: 2 },
  ];
  assert.deepEqual(of({ layers }), [{ digest: digest(2), size: 2 }]);
});

test('whatever JSON, or no JSON: never an exception', () => {
  fc.assert(fc.property(fc.json(), (text) => void descriptorsOf(Buffer.from(text))));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.ok(Array.isArray(descriptorsOf(bytes)))));
});
