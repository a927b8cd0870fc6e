import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAgentError } from '../../../agent/errors.ts';
import { isTag } from '../../../agent/oci/reference.ts';
import { listTags } from '../../../agent/upstream/listing.ts';
import type { Answer } from '../../../agent/upstream/question.ts';
import { REPOSITORY } from './fixture.ts';

/** Milliseconds. */
const STALL = 5_000;

/** What is read of an answer with this body and Link. */
async function tagsOf(body: string, link: string | undefined) {
  const headers = link === undefined ? {} : { link };
  const answer = {
    statusCode: 200,
    headers,
    body: Readable.from([Buffer.from(body)]),
    host: 'h',
    withCredentials: false,
  };
  const ask = () => Promise.resolve(answer as unknown as Answer);
  return await listTags(ask, REPOSITORY, '', STALL, () => {}, new AbortController().signal);
}

const query = fc
  .dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.string({ maxLength: 20 }), { minKeys: 1, maxKeys: 4 })
  .map((fields) => new URLSearchParams(fields).toString());
const where = fc.constantFrom('', '/v2/x/tags/list', 'https://elsewhere.example/v2/x/tags/list', '//elsewhere/x');
const rel = fc.constantFrom('rel="next"', 'rel=next', 'REL="next"', 'title="a, b"; rel="next"', 'x=y;rel="next"');
const other = fc.constantFrom('</?p=1>; rel="prev"', '</first?p=0>; rel=first; title="<?x>"');

test('whatever leads to the next page, its query is what comes', async () => {
  await fc.assert(
    fc.asyncProperty(query, where, rel, fc.array(other, { maxLength: 2 }), async (asked, path, next, others) => {
      const link = [...others, `<${path}?${asked}>; ${next}`].join(', ');
      const page = await tagsOf('{"tags":[]}', link);
      assert.deepEqual([...new URLSearchParams(page.next)], [...new URLSearchParams(asked)], link);
    }),
  );
});

test('whatever stands in a Link, there is a query that fits into a URL, or none', async () => {
  const nonsense = fc.string({
    unit: fc.constantFrom(...'<>;,="? ', 'rel', 'next', '&', '\\', '#', 'é'),
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(nonsense, async (link) => {
      const { next } = await tagsOf('{"tags":[]}', link);
      if (next === undefined) return;
      assert.match(next, /^[\x21-\x7e]+$/);
      assert.ok(!next.includes('#') && next.length <= 1024);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever JSON comes, tags are told, or that it is no list', async () => {
  const tags = fc.array(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.]{1,9}$/), fc.jsonValue()), { maxLength: 8 });
  const body = fc.oneof(fc.record({ tags }), fc.record({ tags: fc.jsonValue() }), fc.jsonValue());
  await fc.assert(
    fc.asyncProperty(body, fc.integer({ min: 0, max: 5 }), async (value, cut) => {
      const text = JSON.stringify(value);
      try {
        const page = await tagsOf(text.slice(0, text.length - cut), undefined);
        const given = (value as { tags?: unknown }).tags ?? [];
        assert.ok(Array.isArray(given));
        assert.deepEqual(
          page.tags,
          given.filter((tag) => typeof tag === 'string' && isTag(tag)),
        );
      } catch (error) {
        assert.ok(isAgentError(error, 'UPSTREAM_FAILED'), String(error));
      }
    }),
  );
});
