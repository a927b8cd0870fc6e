import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tagsIn } from '../../../../agent/fetch/listings/tag-list.ts';
import { tagOrder } from '../../../../agent/fetch/listings/tag-order.ts';
import type { TagsPage } from '../../../../agent/fetch/ports.ts';
import { listTags, type TagsStyle } from '../../../support/upstream-listings.ts';

/** A registry of that style, and how often it was asked. */
function registry(tags: readonly string[], style: TagsStyle | 'clamped') {
  const asked: string[] = [];
  const page = async (query: string): Promise<TagsPage> => {
    asked.push(query);
    const asks = new URLSearchParams(query);
    // Registries have a largest page of their own.
    if (style === 'clamped') asks.set('n', String(Math.min(4, Number(asks.get('n') ?? 4))));
    const { body, headers } = listTags('app', tags, asks, style === 'clamped' ? 'paged' : style);
    return { tags: JSON.parse(body).tags, next: /\?(.*)>/.exec(headers.link ?? '')?.[1] };
  };
  return { page, asked };
}

/** Follows the pages of `n` as a client does. */
async function walk(page: (query: string) => Promise<TagsPage>, n: number): Promise<string[]> {
  const all: string[] = [];
  for (let last: string | undefined; ; last = all.at(-1)) {
    const part = await tagsIn(page, { n, last });
    assert.ok(part.tags.length <= n);
    all.push(...part.tags);
    if (!part.hasMore) return all;
    assert.ok(part.tags.length > 0);
  }
}

for (const style of ['paged', 'clamped', 'all', 'tokens'] as const) {
  test(`every tag comes once and in order, however a registry lists them (${style})`, async () => {
    const tag = fc.stringMatching(/^[A-Za-z0-9][a-zA-Z0-9._-]{0,4}$/);
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(tag, { maxLength: 20 }), fc.integer({ min: 1, max: 7 }), async (tags, n) => {
        const walked = await walk(registry(tags, style).page, n);
        assert.deepEqual([...walked].sort(), [...tags].sort());
        const isBytewise = walked.every((each, at) => at === 0 || (walked[at - 1] as string) < each);
        const isLexical = walked.every((each, at) => at === 0 || tagOrder(walked[at - 1] as string, each) < 0);
        assert.ok(isBytewise || isLexical, walked.join());
      }),
    );
  });
}

test('a registry that pages as it should is asked once for a page', async () => {
  for (const style of ['paged', 'clamped'] as const) {
    const { page, asked } = registry(['a', 'b', 'c', 'd', 'e', 'f'], style);
    assert.deepEqual(await tagsIn(page, { n: 2, last: 'a' }), { tags: ['b', 'c'], hasMore: true });
    assert.deepEqual(await tagsIn(page, { n: 2, last: 'd' }), { tags: ['e', 'f'], hasMore: false });
    assert.deepEqual(asked, ['n=1000&last=a', 'n=1000&last=d']);
  }
});

test('no tags are asked for: none, and no more; but whether there is such a repository is asked', async () => {
  const { page, asked } = registry(['a', 'b'], 'paged');
  assert.deepEqual(await tagsIn(page, { n: 0, last: undefined }), { tags: [], hasMore: false });
  assert.equal(asked.length, 1);
  await assert.rejects(
    tagsIn(() => Promise.reject(new Error('no such repository')), { n: 0, last: undefined }),
    /no such repository/,
  );
});

test('last need not be a tag, and is not among what comes', async () => {
  for (const style of ['paged', 'clamped', 'all', 'tokens'] as const) {
    const { page } = registry(['v3', 'v1', 'v5', 'v2', 'v4'], style);
    assert.deepEqual((await tagsIn(page, { n: undefined, last: 'v2' })).tags, ['v3', 'v4', 'v5'], style);
    assert.deepEqual((await tagsIn(page, { n: 2, last: 'v22' })).tags, ['v3', 'v4'], style);
    assert.deepEqual(await tagsIn(page, { n: 2, last: 'v9' }), { tags: [], hasMore: false }, style);
  }
});

test('a registry without an order of its own is sorted as the spec says', async () => {
  const { page } = registry(['b', 'A', 'a', 'C'], 'tokens');
  assert.deepEqual((await tagsIn(page, { n: 9, last: undefined })).tags, ['A', 'a', 'b', 'C']);
});

test('a list that never ends is not followed for ever', async () => {
  let asked = 0;
  const page = async () => ({ tags: [`t${9999 - asked++}`, 'x', 'a'], next: `token=${asked}` });
  await assert.rejects(tagsIn(page, { n: 5, last: undefined }), { code: 'UPSTREAM_FAILED' });
  assert.ok(asked <= 101);
});

test('a page may hold more tags than a call takes arguments', async () => {
  const many = Array.from({ length: 150_000 }, (_, at) => `t${at}`);
  const page = async (query: string) =>
    query.includes('token') ? { tags: many, next: undefined } : { tags: ['b', 'a'], next: 'token=2' };
  const part = await tagsIn(page, { n: 2, last: 't1' });
  assert.deepEqual(part, { tags: ['t10', 't100'], hasMore: true });
});

test('of a list that is read whole no more is kept than some registry may have', async () => {
  let asked = 0;
  const page = async () => {
    asked++;
    return { tags: Array.from({ length: 50_000 }, (_, at) => `t${asked}-${at}`).reverse(), next: `token=${asked}` };
  };
  await assert.rejects(tagsIn(page, { n: 5, last: undefined }), { code: 'UPSTREAM_FAILED' });
  assert.ok(asked < 10, `${asked} pages`);
});
