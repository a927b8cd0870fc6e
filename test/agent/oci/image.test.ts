import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAgentError } from '../../../agent/errors.ts';
import { imageText, parseImage } from '../../../agent/oci/image.ts';

test('references are read as docker reads them', () => {
  const cases: [text: string, whole: string][] = [
    ['alpine', 'docker.io/library/alpine:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['owner/app', 'docker.io/owner/app:latest'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['index.docker.io/alpine:1', 'docker.io/library/alpine:1'],
    ['Registry-1.docker.io/owner/app:1', 'docker.io/owner/app:1'],
    ['localhost/app', 'localhost/app:latest'],
    ['registry.lan:5000/a/b/c:v1', 'registry.lan:5000/a/b/c:v1'],
    ['registry:5000/app', 'registry:5000/app:latest'],
    ['GHCR.io/owner/app:A', 'ghcr.io/owner/app:A'],
  ];
  for (const [text, whole] of cases) {
    assert.equal(imageText(parseImage(text)), whole, text);
    assert.equal(imageText(parseImage(whole)), whole);
  }
});

test('what is no image with a tag is refused in one line that says why', () => {
  const cases: [text: string, why: RegExp][] = [
    ['', /repository/],
    ['Alpine', /repository/],
    ['Registry/app', /repository/],
    ['alpine:', /tag/],
    ['alpine:a b', /tag/],
    [`alpine:${'x'.repeat(129)}`, /tag/],
    ['a//b', /repository/],
    ['/alpine', /repository/],
    ['http://x/alpine', /registry|repository/],
    ['ghcr.io/', /repository/],
    ['-x.io/app', /registry/],
    [`alpine@sha256:${'0'.repeat(64)}`, /digest/],
    [`alpine:1@sha256:${'0'.repeat(64)}`, /digest/],
    ['alpine\n', /repository/],
    ['alpine:1\n', /tag/],
  ];
  for (const [text, why] of cases) {
    assert.throws(
      () => parseImage(text),
      (error) => isAgentError(error, 'IMAGE_INVALID') && why.test(error.message) && !error.message.includes('\n'),
      JSON.stringify(text),
    );
  }
});

test('whatever is read is read the same again', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'aB1./:-_@ '), maxLength: 12 }), (text) => {
      let whole: string;
      try {
        whole = imageText(parseImage(text));
      } catch (error) {
        return assert.ok(isAgentError(error, 'IMAGE_INVALID'));
      }
      assert.equal(imageText(parseImage(whole)), whole);
    }),
  );
});
