import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isRepositoryPattern, isTagPattern, matchesPattern, precisionOf } from '../../../agent/oci/pattern.ts';

test('a star is anything, also nothing, also slashes; all else is itself', () => {
  const table: [pattern: string, name: string, matches: boolean][] = [
    ['*', 'library/alpine', true],
    ['library/alpine', 'library/alpine', true],
    ['library/alpine', 'library/alpine2', false],
    ['library/alpine', 'a/library/alpine', false],
    ['library/*', 'library/alpine', true],
    ['library/*', 'library/a/b/c', true],
    ['library/*', 'libraryx/alpine', false],
    ['*/secret', 'team/a/secret', true],
    ['*/secret', 'secret', false],
    ['*secret', 'secret', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['team/*-dev/*', 'team/x-dev/y-dev/z', true],
    ['team/*-dev/*', 'team/x/y', false],
    ['a.b', 'axb', false],
  ];
  for (const [pattern, name, matches] of table)
    assert.equal(matchesPattern(pattern, name), matches, `${pattern} ${name}`);
});

test('what a pattern may be made of', () => {
  for (const text of ['*', 'library/*', 'a-b_c.d/**']) assert.ok(isRepositoryPattern(text), text);
  for (const text of ['', 'A', 'a:b', 'a b', 'a\n', '(a)', 'a?']) assert.ok(!isRepositoryPattern(text), text);
});

test('it agrees with the regular expression that it stands for', () => {
  const text = (letters: string) => fc.array(fc.constantFrom(...letters), { maxLength: 10 }).map((all) => all.join(''));
  fc.assert(
    fc.property(text('ab/*'), text('ab/'), (pattern, name) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
      assert.equal(matchesPattern(pattern, name), expression.test(name));
    }),
    { numRuns: 2000 },
  );
});

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
    for (const tag of fits) assert.ok(matchesPattern(pattern, tag), `${pattern} fits ${tag}`);
    for (const tag of others) assert.ok(!matchesPattern(pattern, tag), `${pattern} does not fit ${tag}`);
  }
});

test('what fits is what the same pattern means as a regular expression', () => {
  const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 10 });
  fc.assert(
    fc.property(text('ab.*'), text('ab.'), (pattern, tag) => {
      const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
      assert.equal(matchesPattern(pattern, tag), expression.test(tag));
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
