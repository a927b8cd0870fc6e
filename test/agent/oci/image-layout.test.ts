import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLayout, entriesOf, LAYOUT_TEXT, parseIndex, withImage } from '../../../agent/oci/image-layout.ts';
import type { Digest } from '../../../protocol/digest.ts';

const descriptor = (letter: string) => ({
  mediaType: 'application/vnd.oci.image.index.v1+json',
  digest: `sha256:${letter.repeat(64)}` as Digest,
  size: 7,
});

test('an image takes the place of the one that had its name, and what others have put there stays', () => {
  const foreign = { ...descriptor('f'), annotations: { 'org.opencontainers.image.ref.name': 'v1', more: 'x' } };
  let index = parseIndex(JSON.stringify({ schemaVersion: 2, manifests: [foreign], annotations: { mine: '1' } }));
  for (const letter of ['a', 'b']) {
    const text = withImage(index, { ...descriptor(letter), fullName: 'docker.io/library/app:v2', tag: 'v2' });
    index = parseIndex(text);
  }
  assert.deepEqual(index.annotations, { mine: '1' });
  assert.deepEqual(index.manifests[0], foreign);
  assert.deepEqual(entriesOf(index).slice(1), [
    { ...descriptor('b'), fullName: 'docker.io/library/app:v2', refName: 'v2' },
  ]);
  const same = entriesOf(parseIndex(withImage(index, { ...descriptor('c'), fullName: 'ghcr.io/o/app:v1', tag: 'v1' })));
  assert.equal(same.at(-1)?.refName, 'ghcr.io/o/app:v1', 'one name names one image');
  const byDigest = entriesOf(parseIndex(withImage(undefined, { ...descriptor('d'), fullName: 'x', tag: undefined })));
  assert.deepEqual(byDigest, [{ ...descriptor('d'), fullName: 'x', refName: undefined }]);
});

test('what is no layout is told', () => {
  checkLayout(LAYOUT_TEXT);
  for (const text of ['', '[]', '{}', '{"imageLayoutVersion":"2.0.0"}']) {
    assert.throws(() => checkLayout(text), { code: 'LAYOUT_INVALID' }, text);
  }
  for (const text of ['', 'null', '{}', '{"manifests":{}}']) {
    assert.throws(() => parseIndex(text), { code: 'LAYOUT_INVALID' }, text);
  }
  for (const entry of [1, {}, { digest: 'sha256:../../x', size: 1 }, { ...descriptor('a'), size: -1 }]) {
    const index = parseIndex(JSON.stringify({ manifests: [descriptor('a'), entry] }));
    assert.throws(() => entriesOf(index), { code: 'LAYOUT_INVALID', message: /^entry 1 / });
  }
});
