import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedImageText, parseNamedImage } from '../../../agent/upkeep/named-image.ts';
import { pinKey, pinnedImages } from '../../../agent/upkeep/pinned.ts';
import type { Digest } from '../../../protocol/digest.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as Digest;

/** What is written, and the whole of its name. */
const NAMES: [text: string, whole: string][] = [
  ['alpine', 'docker.io/library/alpine:latest'],
  ['owner/app:v1', 'docker.io/owner/app:v1'],
  ['registry.lan:5000/app', 'registry.lan:5000/app:latest'],
  [`alpine@${DIGEST}`, `docker.io/library/alpine@${DIGEST}`],
  [`registry.lan:5000/app:v1@${DIGEST}`, `registry.lan:5000/app@${DIGEST}`],
  [DIGEST, DIGEST],
];

test('an image by tag, by repository and digest, or by digest', () => {
  for (const [text, whole] of NAMES) {
    assert.equal(namedImageText(parseNamedImage(text)), whole);
    assert.equal(namedImageText(parseNamedImage(whole)), whole);
  }
  for (const text of ['', 'App', 'app@', `app@${DIGEST}0`, 'app@sha256:A', `@${DIGEST}`, `app@${DIGEST}@${DIGEST}`]) {
    assert.throws(() => parseNamedImage(text), { code: 'IMAGE_INVALID' }, text);
  }
});

test('a pin says by which name it was made and what that was', () => {
  for (const [text, whole] of NAMES) {
    const image = parseNamedImage(text);
    const key = pinKey(image, DIGEST);
    const [pin] = pinnedImages({ pins: () => [{ image: key, digests: [DIGEST] }] });
    assert.equal(pin?.root, DIGEST, key);
    assert.equal(namedImageText(pin!.image), whole, key);
  }
  assert.deepEqual(pinnedImages({ pins: () => [{ image: 'of another version', digests: [DIGEST] }] }), []);
});
