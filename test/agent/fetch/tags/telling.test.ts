import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import type { TagRecord } from '../../../../agent/fetch/tags/ports.ts';
import { tagTeller } from '../../../../agent/fetch/tags/telling.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import { type AskedTag, tagStatement } from '../../../../protocol/tag-record.ts';
import { type MemoryStore, memoryStore } from '../../../support/memory-store.ts';
import { memorySwarm, signatureOf } from '../../../support/memory-swarm.ts';
import { memoryTags } from '../../../support/memory-tags.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const NOW = 1_763_771_234_567;
const bytes = Buffer.from('{}');
const digest = toDigest('sha256', hash('sha256', bytes, 'buffer'));
const name = { registry: 'docker.io', repository: 'library/app', tag: 'latest' };
const record: TagRecord = { accept: INDEX, digest, mediaType: INDEX, size: 2, etag: '"e"', checkedAt: NOW - 5 };

let store: MemoryStore;
let told: (asked?: Partial<AskedTag>, over?: Partial<TagRecord>) => ReturnType<ReturnType<typeof tagTeller>>;

beforeEach(async () => {
  store = memoryStore();
  await store.put(digest, bytes, INDEX);
  told = (asked = {}, over = {}) => {
    const tags = memoryTags();
    tags.put(name, { ...record, ...over });
    const parts = { tags, store, swarm: memorySwarm(), now: () => NOW };
    const tell = tagTeller(parts, (repository) => repository.name === 'library/private');
    tags.put({ ...name, repository: 'library/private' }, record);
    return tell({ ...name, accept: INDEX, ...asked });
  };
});

test('what was asked upstream here is told, signed with the name it was asked by', () => {
  const { etag: _, ...checked } = record;
  const signature = signatureOf('this agent', tagStatement(name, checked));
  assert.deepEqual(told(), { ...checked, signer: 'this agent', signature });
});

test('nothing is told of what is not known, not an answer, or may be private', () => {
  assert.equal(told({ tag: 'v1' }), undefined);
  assert.equal(told({ registry: 'ghcr.io' }), undefined);
  assert.equal(told({ accept: DOCKER }), undefined);
  assert.equal(told({ repository: 'library/private' }), undefined);
  assert.ok(told());
});

test('nor of a manifest that peers would not be given', async () => {
  store.keepPrivate(digest, 'docker.io');
  assert.equal(told(), undefined);
  await store.remove(digest);
  assert.equal(told(), undefined);
});

test('nor what would break the protocol, or nobody could date', () => {
  for (const over of [{ checkedAt: NOW + 1 }, { mediaType: '' }, { size: -1 }]) {
    assert.equal(told({}, over), undefined, JSON.stringify(over));
  }
  const mediaType = `a/${'b'.repeat(253)}`;
  assert.ok(told({ accept: mediaType }, { mediaType, accept: mediaType }));
  const longer = `${mediaType}b`;
  assert.equal(told({ accept: longer }, { mediaType: longer, accept: longer }), undefined);
});
