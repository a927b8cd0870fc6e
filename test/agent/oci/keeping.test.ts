import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeeping, keepingPatternProblem } from '../../../agent/oci/keeping.ts';

const repository = (text: string) => {
  const at = text.indexOf('/');
  return { registry: text.slice(0, at), name: text.slice(at + 1) };
};

test('a repository is kept that keep names and skip does not', () => {
  const rules: [keep: string[], skip: string[], kept: string[], passed: string[]][] = [
    [['*'], [], ['docker.io/library/app', 'ghcr.io/o/a/b'], []],
    [[], [], [], ['docker.io/library/app']],
    [['*'], ['ghcr.io/*'], ['docker.io/library/app'], ['ghcr.io/o/a']],
    [['docker.io/*', 'ghcr.io/o/*'], ['*/scratch'], ['ghcr.io/o/a'], ['ghcr.io/p/a', 'docker.io/me/scratch']],
    [['registry.lan:5000/*'], [], ['registry.lan:5000/a'], ['registry.lan/a']],
  ];
  for (const [keep, skip, kept, passed] of rules) {
    const keeps = createKeeping({ keep, skip });
    for (const text of kept) assert.ok(keeps(repository(text)), text);
    for (const text of passed) assert.ok(!keeps(repository(text)), text);
  }
});

test('a pattern that could never match is told', () => {
  for (const pattern of [
    '*',
    '*/app',
    'docker.io/*',
    'docker.io/library/app',
    'docker.io/o*',
    'registry.lan:5000/a/b',
  ]) {
    assert.equal(keepingPatternProblem(pattern), undefined, pattern);
  }
  assert.match(keepingPatternProblem('docker.io/alpine') ?? '', /docker\.io\/library\/alpine/);
  assert.match(keepingPatternProblem('index.docker.io/*') ?? '', /must say docker\.io/);
  for (const pattern of [
    '',
    'alpine',
    'docker.io/',
    'Docker.io/*',
    'docker.io/a@b',
    'docker.io/*\n',
    'ghcr.io',
    '/a',
  ]) {
    assert.ok(keepingPatternProblem(pattern) !== undefined, JSON.stringify(pattern));
  }
});
