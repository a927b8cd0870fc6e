import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isRegistry, isRepositoryName, isTag } from '../../../agent/oci/reference.ts';

test('names of the distribution spec’s grammar', () => {
  for (const name of ['alpine', 'library/alpine', 'a/b/c-d/e__f', 'a.b', 'a--b', '0']) {
    assert.equal(isRepositoryName(name), true, name);
  }
});

test('what only looks like a name', () => {
  const wrong = [
    '',
    'A',
    'a/',
    '/a',
    'a//b',
    'a..b',
    '../a',
    'a___b',
    'a-',
    '.a',
    'a b',
    'a\n',
    'a%2fb',
    'é',
    'a'.repeat(256),
  ];
  for (const name of wrong) assert.equal(isRepositoryName(name), false, name);
});

test('tags', () => {
  for (const tag of ['latest', 'v1.2-3_x', '_a', 'A'.repeat(128)]) assert.equal(isTag(tag), true, tag);
  for (const tag of ['', '.a', '-a', 'a:b', 'a/b', 'a\n', 'a'.repeat(129)]) assert.equal(isTag(tag), false, tag);
});

test('registries', () => {
  for (const host of ['docker.io', 'registry.lan:5000', 'localhost', '127.0.0.1:5000']) {
    assert.equal(isRegistry(host), true, host);
  }
  const wrong = ['', 'a/b', 'user@host', 'host:', 'host:123456', '-a', 'a..b', 'a\n', 'http://a', 'a?b'];
  for (const host of wrong) assert.equal(isRegistry(host), false, host);
});

/** Characters that a grammar may stumble over, beside those it allows. */
const text = fc.string({ unit: fc.constantFrom(...'aZ09._-/:@%+ \\\n\0é\u2028'), maxLength: 24 });

const separator = fc.constantFrom('.', '_', '__', '-', '---');
const word = fc.stringMatching(/^[a-z0-9]{1,6}$/);
const part = fc.tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 })).map((all) => all.flat(2).join(''));

test('whatever the grammar makes is a name, and a separator more at either end is none', () => {
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), separator, (parts, more) => {
      const name = parts.join('/');
      assert.equal(isRepositoryName(name), true, name);
      for (const wrong of [
        `${more}${name}`,
        `${name}${more}`,
        `${name}/`,
        `/${name}`,
        `${name}\n`,
        name.toUpperCase(),
      ]) {
        assert.equal(isRepositoryName(wrong) && wrong !== name, false, JSON.stringify(wrong));
      }
    }),
  );
});

test('what is taken for a name, tag or registry can climb nowhere, and stands in a URL as it is', () => {
  fc.assert(
    fc.property(text, (one) => {
      const isName = isRepositoryName(one);
      if (!isName && !isTag(one) && !isRegistry(one)) return;
      assert.match(one, /^[A-Za-z0-9._/:-]+$/);
      const url = new URL(`http://registry/v2/${one}/end`);
      assert.equal(url.pathname, `/v2/${one}/end`);
      if (isName) assert.equal(one, one.toLowerCase());
    }),
    { numRuns: 20_000 },
  );
});

test('no name, however long, takes long to be refused', { timeout: 10_000 }, () => {
  fc.assert(
    fc.property(
      fc.constantFrom('a-', 'a_', 'a.', 'a/', '-', 'a--', 'a__'),
      fc.constantFrom('', '!', '\n'),
      (unit, end) => {
        const long = unit.repeat(50_000) + end;
        assert.equal(isRepositoryName(long), false);
        assert.equal(isTag(long), false);
        assert.equal(isRegistry(long), false);
      },
    ),
  );
});
