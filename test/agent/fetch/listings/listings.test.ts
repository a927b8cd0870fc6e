import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Listings } from '../../../../agent/fetch/listings/listings.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import { memoryUpstream } from '../../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;

test('who asks at once asks once; who asks later asks again', async () => {
  const upstream = memoryUpstream();
  const listings = new Listings(upstream, never);
  let asked = 0;
  const { listTags, listReferrers } = upstream;
  upstream.listTags = (...all) => {
    asked++;
    return listTags(...all);
  };
  upstream.listReferrers = (...all) => {
    asked++;
    return listReferrers(...all);
  };
  const tags = () => listings.tags({ repository, n: undefined, last: undefined }, never);
  assert.deepEqual((await Promise.all([tags(), tags()]))[1]?.tags, []);
  assert.equal(asked, 1);
  upstream.tag('v1', Buffer.from('{}'), 'a/b');
  assert.deepEqual((await tags()).tags, ['v1']);
  const digest = toDigest('sha256', Buffer.alloc(32));
  const referrers = (artifactType?: string) => listings.referrers({ repository, digest, artifactType }, never);
  await Promise.all([referrers(), referrers(), referrers('a/b')]);
  assert.equal(asked, 4);
});
