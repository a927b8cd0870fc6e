import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isRepositoryPattern, matchesPattern } from '../../../agent/oci/pattern.ts';

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
