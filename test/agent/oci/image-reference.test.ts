import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageReferenceText, parseImageReference, referenceOf } from '../../../agent/oci/image-reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test('an image goes by its tag, its digest or both', () => {
  const cases: [text: string, whole: string, reference: string][] = [
    ['alpine', 'docker.io/library/alpine:latest', 'latest'],
    ['alpine:3', 'docker.io/library/alpine:3', '3'],
    [`alpine@${DIGEST}`, `docker.io/library/alpine@${DIGEST}`, DIGEST],
    [`alpine:3@${DIGEST}`, `docker.io/library/alpine:3@${DIGEST}`, DIGEST],
    [`registry.lan:5000/app@${DIGEST}`, `registry.lan:5000/app@${DIGEST}`, DIGEST],
    [`registry.lan:5000/app:v1@${DIGEST}`, `registry.lan:5000/app:v1@${DIGEST}`, DIGEST],
  ];
  for (const [text, whole, reference] of cases) {
    const parsed = parseImageReference(text);
    assert.equal(imageReferenceText(parsed), whole);
    assert.equal(referenceOf(parsed), reference);
    assert.deepEqual(parseImageReference(whole), parsed);
  }
  for (const text of [
    '',
    '@',
    `@${DIGEST}`,
    'alpine@',
    'alpine@sha256:abc',
    `Alpine@${DIGEST}`,
    `a@${DIGEST}@${DIGEST}`,
  ]) {
    assert.throws(() => parseImageReference(text), { code: 'IMAGE_INVALID' }, text);
  }
});
