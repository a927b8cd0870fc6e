import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { knownImages } from '../../../agent/upkeep/images.ts';
import { namedImageText } from '../../../agent/upkeep/named-image.ts';
import { extendPins } from '../../../agent/upkeep/pinned.ts';
import { namedBy, partsOf } from '../../../agent/upkeep/walk.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { content, digestOfBytes, hold, never } from '../store/compliance.ts';
import { type Place, place, quiet } from '../store/support.ts';

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

const blob = (seed: string) => ({ digest: digestOfBytes(content(seed, 100)), size: 100 });

function manifest(body: object) {
  const bytes = Buffer.from(JSON.stringify(body));
  return { bytes, digest: digestOfBytes(bytes), size: bytes.length };
}

test('what a manifest names, but for its subject and what is not well-formed', () => {
  const [a, b] = [blob('a'), blob('b')];
  const bad = [null, 5, { digest: 'sha256:5', size: 1 }, { digest: a.digest, size: -1 }, { digest: a.digest }];
  const { bytes } = manifest({ config: a, layers: [b, ...bad], subject: blob('subject'), manifests: 'none' });
  assert.deepEqual(namedBy(bytes), { platforms: [], blobs: [a, b] });
  assert.deepEqual(namedBy(manifest({ manifests: [a, b] }).bytes), { platforms: [a, b], blobs: [] });
  for (const text of ['', 'x', '[]', 'null', '5']) {
    assert.deepEqual(namedBy(Buffer.from(text)), { platforms: [], blobs: [] });
  }
});

test('an image is walked as far as its manifests are held', async () => {
  const store = await at.open();
  const config = blob('config');
  const layer = await hold(store, content('layer', 100));
  const here = manifest({ config, layers: [{ digest: layer, size: 100 }] });
  const elsewhere = manifest({ config: blob('other'), layers: [] });
  const index = manifest({ manifests: [here, elsewhere].map(({ digest, size }) => ({ digest, size })) });
  for (const { digest, bytes } of [here, index]) await store.put(digest, bytes, 'a/manifest');
  const parts = await partsOf(store.inspection, index.digest, never);
  assert.deepEqual(
    parts.map(({ digest, kind, held }) => [digest, kind, held !== undefined]),
    [
      [index.digest, 'root', true],
      [here.digest, 'platform', true],
      [config.digest, 'blob', false],
      [layer, 'blob', true],
      [elsewhere.digest, 'platform', false],
    ],
  );
  const none = blob('none').digest;
  assert.deepEqual(await partsOf(store.inspection, none, never), [
    { digest: none, size: 0, held: undefined, kind: 'root' },
  ]);
  assert.equal((await partsOf(store.inspection, layer, never)).length, 1, 'what is no manifest names nothing');
});

test('images are known by tags, then by pins, then by manifests that nothing leads to', async () => {
  const store = await at.open();
  const put = async (body: object): Promise<Digest> => {
    const { digest, bytes } = manifest(body);
    await store.put(digest, bytes, 'a/manifest');
    return digest;
  };
  const platform = await put({ config: blob('config'), layers: [] });
  const index = await put({ manifests: [{ digest: platform, size: 10 }] });
  const tagged = await put({ config: blob('tagged') });
  const pinned = await put({ config: blob('pinned') });
  const name = { registry: 'docker.io', repository: 'library/app', tag: 'v1' };
  const record = { mediaType: 'a/manifest', size: 10, etag: null, checkedAt: 1 };
  store.tags.put(name, { ...record, accept: '*/*', digest: tagged });
  store.tags.put(name, { ...record, accept: 'a/manifest', digest: tagged });
  store.pin(`docker.io/library/app:v1@${tagged}`, [tagged]);
  store.pin(pinned, [pinned]);
  const found: [string | undefined, Digest][] = [];
  for await (const image of knownImages(store, never)) {
    found.push([image.name && namedImageText(image.name), image.root]);
  }
  assert.deepEqual(found, [
    ['docker.io/library/app:v1', tagged],
    [pinned, pinned],
    [undefined, index],
  ]);
});

test('what a pinned manifest names is pinned when it comes; of others nothing is, and a failing store fails no pull', async () => {
  const store = await at.open();
  const [a, b] = [blob('a'), blob('b')];
  const wanted = manifest({ config: a, layers: [b] });
  const other = manifest({ config: blob('c'), layers: [] });
  store.pin('image', [wanted.digest]);
  store.pin('bystander', [a.digest]);
  extendPins(store, quiet, wanted);
  extendPins(store, quiet, other);
  assert.deepEqual(store.pins(), [
    { image: 'bystander', digests: [a.digest] },
    { image: 'image', digests: [wanted.digest, a.digest, b.digest].sort() },
  ]);
  const failing = {
    isPinned: () => true,
    pins: () => [{ image: 'image', digests: [wanted.digest] }],
    pin: () => {
      throw new Error('full');
    },
  };
  extendPins(failing, quiet, wanted);
});
