import assert from 'node:assert/strict';
import { assertError, type Case, get } from '../case.ts';
import { newManifest, newRepository, type Target } from '../target.ts';
import type { Answer } from '../wire.ts';

const SECTION = 'Listing Tags (end-8)';
const TAGS = ['latest', 'nightly', 'stable', 'v1', 'v10', 'v2', 'v2.1_rc-1', 'v3'];
const NO_PAGES = { because: 'it gives all tags, whatever n and last are', seen: /'v10'|tags\.length <= 2/ };

/** In an order that is neither theirs nor the reverse, so that somebody has to sort them. */
const ADDED = ['v10', 'stable', 'v2.1_rc-1', 'latest', 'v3', 'v1', 'nightly', 'v2'];

async function tagged(target: Target): Promise<string> {
  const repository = newRepository();
  for (const tag of ADDED) await newManifest(target, 'sha256', { repository, tag });
  return repository;
}

function tagsOf(answer: Answer): string[] {
  assert.equal(answer.status, 200);
  assert.match(answer.header('content-type') ?? '', /^application\/json\b/);
  return (JSON.parse(answer.body.toString()) as { tags: string[] }).tags;
}

function nextOf(answer: Answer): string | undefined {
  const link = answer.header('link');
  if (link === undefined) return undefined;
  const [, target] = /^<([^>]+)>; *rel="next"$/.exec(link) ?? [];
  assert.ok(target, `Link ${link}`);
  const { pathname, search } = new URL(target, 'http://registry');
  return pathname + search;
}

export const tagCases: Case[] = [
  {
    title: 'all tags, with the repository’s name',
    section: SECTION,
    async run(target) {
      const repository = await tagged(target);
      const answer = await get(target, `/v2/${repository}/tags/list`);
      assert.deepEqual(tagsOf(answer).sort(), TAGS);
      assert.equal((JSON.parse(answer.body.toString()) as { name: string }).name, repository);
      assert.equal(answer.header('link'), undefined);
    },
  },
  {
    title: 'tags come in lexical order',
    section: SECTION,
    differs: { because: 'it gives tags in the order that its storage has them', seen: /deep-equal/ },
    async run(target) {
      const repository = await tagged(target);
      assert.deepEqual(tagsOf(await get(target, `/v2/${repository}/tags/list`)), TAGS);
    },
  },
  {
    title: 'n tags and a Link; following it brings every tag once',
    section: SECTION,
    differs: NO_PAGES,
    async run(target) {
      const repository = await tagged(target);
      const walked: string[] = [];
      let path: string | undefined = `/v2/${repository}/tags/list?n=2`;
      for (let pages = 0; path !== undefined && pages < 5; pages++) {
        const answer = await get(target, path);
        const tags = tagsOf(answer);
        assert.ok(tags.length > 0 && tags.length <= 2);
        walked.push(...tags);
        path = nextOf(answer);
      }
      assert.deepEqual(walked, TAGS);
      assert.equal(path, undefined);
    },
  },
  {
    title: 'a Link names the registry that was meant',
    section: 'Registry Proxying (after 1.1.1)',
    differs: { because: 'it is no proxy and knows no ns', seen: /\+ undefined\s+- 'docker\.io'/ },
    async run(target) {
      const repository = await tagged(target);
      const answer = await get(target, `/v2/${repository}/tags/list?n=2&ns=docker.io`);
      const next = new URL(nextOf(answer) ?? '/', 'http://registry');
      assert.equal(next.searchParams.get('ns') ?? undefined, 'docker.io');
      assert.equal(answer.header('oci-namespace'), 'docker.io');
    },
  },
  {
    title: 'n as large as the list: all, and no Link',
    section: SECTION,
    async run(target) {
      const repository = await tagged(target);
      for (const n of [TAGS.length, 1000]) {
        const answer = await get(target, `/v2/${repository}/tags/list?n=${n}`);
        assert.deepEqual(tagsOf(answer).sort(), TAGS);
        assert.equal(answer.header('link'), undefined);
      }
    },
  },
  {
    title: 'last: what comes after it, itself left out',
    section: SECTION,
    differs: NO_PAGES,
    async run(target) {
      const repository = await tagged(target);
      assert.deepEqual(tagsOf(await get(target, `/v2/${repository}/tags/list?last=v10`)), TAGS.slice(5));
      assert.deepEqual(tagsOf(await get(target, `/v2/${repository}/tags/list?n=1&last=latest`)), ['nightly']);
    },
  },
  {
    title: 'last behind the end: an empty list, and no Link',
    section: SECTION,
    differs: NO_PAGES,
    async run(target) {
      const repository = await tagged(target);
      const answer = await get(target, `/v2/${repository}/tags/list?n=2&last=zzz`);
      assert.deepEqual(tagsOf(answer), []);
      assert.equal(answer.header('link'), undefined);
    },
  },
  {
    title: 'n=0: an empty list, and no Link',
    section: SECTION,
    differs: NO_PAGES,
    async run(target) {
      const repository = await tagged(target);
      const answer = await get(target, `/v2/${repository}/tags/list?n=0`);
      assert.deepEqual(tagsOf(answer), []);
      assert.equal(answer.header('link'), undefined);
    },
  },
  {
    title: 'an n that is larger than any list: all of it, and no Link',
    section: SECTION,
    async run(target) {
      const repository = await tagged(target);
      for (const n of ['999999999', '1000000000', '99999999999999999999', '9'.repeat(400)]) {
        const answer = await get(target, `/v2/${repository}/tags/list?n=${n}`);
        assert.deepEqual(tagsOf(answer).toSorted(), TAGS, n);
        assert.equal(answer.header('link'), undefined);
      }
    },
  },
  {
    title: 'a tag that was not there is listed once it is',
    section: SECTION,
    async run(target) {
      const repository = await tagged(target);
      assert.equal(tagsOf(await get(target, `/v2/${repository}/tags/list`)).includes('v4'), false);
      await newManifest(target, 'sha256', { repository, tag: 'v4' });
      assert.equal(tagsOf(await get(target, `/v2/${repository}/tags/list`)).includes('v4'), true);
    },
  },
  {
    title: 'a repository that is not there is 404 NAME_UNKNOWN',
    section: 'Error Codes (NAME_UNKNOWN)',
    async run(target) {
      assertError(await get(target, `/v2/${newRepository()}/tags/list`), 404, 'NAME_UNKNOWN');
    },
  },
];
