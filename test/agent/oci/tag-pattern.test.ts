import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isTagPattern, precisionOf, tagFits } from '../../../agent/oci/tag-pattern.ts';

test('a star stands for anything, a pattern for the whole tag', () => {
  const cases: [pattern: string, fits: string[], others: string[]][] = [
    ['*', ['latest', '1'], []],
    ['latest', ['latest'], ['latest1', 'xlatest', 'Latest']],
    ['*-nightly', ['1.2-nightly', '-nightly'], ['nightly', '1-nightly-2']],
    ['v1.*', ['v1.', 'v1.2'], ['v1', 'v10', 'xv1.2']],
    ['*-rc*', ['1-rc', '1-rc2'], ['1-r', 'rc']],
    ['a*a', ['aa', 'aba'], ['a']],
    ['*1*2*', ['12', 'x1y2z'], ['21']],
  ];
  for (const [pattern, fits, others] of cases) {
    for (const tag of fits) assert.ok(tagFits(pattern, tag), `${pattern} fits ${tag}`);
    for (const tag of others) assert.ok(!tagFits(pattern, tag), `${pattern} does not fit ${tag}`);
  }
});

test('what fits is what the same pattern means as a regular expression', () => {
  const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 10 });
  fc.assert(
    fc.property(text('ab.*'), text('ab.'), (pattern, tag) => {
      const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
      assert.equal(tagFits(pattern, tag), expression.test(tag));
    }),
  );
});

test('what a pattern may hold, and how much it says', () => {
  for (const pattern of ['*', '1.2.3', 'v*', '_a-b']) assert.ok(isTagPattern(pattern), pattern);
  for (const pattern of ['', 'a b', 'a/b', 'a:b', 'a\n', 'ä', 'a?', 'x'.repeat(257)]) {
    assert.ok(!isTagPattern(pattern), JSON.stringify(pattern));
  }
  assert.equal(precisionOf('*-nightly*'), 8);
});
