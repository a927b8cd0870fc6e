import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createPin } from '../../../agent/upkeep/pin.ts';
import type { Store } from '../../../agent/upkeep/ports.ts';
import { digestOfBytes, never } from '../store/compliance.ts';
import { type Place, place } from '../store/support.ts';

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

const nobody = { getManifest: () => Promise.reject(new Error('nobody is asked')) };

test('a tag that moved is pinned anew; where that cannot be noted it stays pinned as it was', async () => {
  const store = await at.open();
  const name = { registry: 'docker.io', repository: 'library/app', tag: 'v1' };
  const moveTo = async (layer: string) => {
    const bytes = Buffer.from(JSON.stringify({ layers: [{ digest: digestOfBytes(Buffer.from(layer)), size: 1 }] }));
    const { digest } = await store.put(digestOfBytes(bytes), bytes, 'a/manifest');
    store.tags.put(name, { accept: '', mediaType: 'a/manifest', digest, size: 1, etag: null, checkedAt: Date.now() });
    return digest;
  };
  const request = { one: () => 'app:v1', optional: () => undefined, flag: () => false, admit: () => {}, signal: never };
  const first = await moveTo('1');
  await createPin(store, nobody)(request);
  assert.ok(store.isPinned(first));
  const second = await moveTo('2');
  const full: Store = {
    ...{ inspection: store.inspection, collection: store.collection, tags: store.tags },
    pin: () => {
      throw new Error('the disk is full');
    },
    unpin: (image) => store.unpin(image),
    pins: () => store.pins(),
    isPinned: (digest) => store.isPinned(digest),
    onRot: (listener) => store.onRot(listener),
  };
  await assert.rejects(async () => createPin(full, nobody)(request), /the disk is full/);
  assert.ok(store.isPinned(first), 'the disk is full, and now nothing keeps it');
  await createPin(store, nobody)(request);
  assert.ok(store.isPinned(second));
  assert.ok(!store.isPinned(first));
  assert.equal(store.pins().length, 1);
});
