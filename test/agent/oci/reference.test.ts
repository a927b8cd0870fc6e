import assert from 'node:assert/strict';
import { test } from 'node:test';
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
