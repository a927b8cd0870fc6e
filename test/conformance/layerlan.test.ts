import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CASES } from './cases.ts';
import { judge } from './judge.ts';
import { startLayerlan } from './layerlan.ts';
import type { Target } from './target.ts';

let target: Target;

before(async () => {
  target = await startLayerlan();
});

after(() => target.close());

for (const one of CASES) {
  test(`${one.title} [${one.section}]`, async () => {
    assert.equal((await judge(one, target)).why, undefined);
  });
}

test('a case that a target is known to fail counts only if it does', async () => {
  const [one] = CASES;
  const differs = { because: 'it is told to', seen: /^no$/ };
  const distribution = { ...target, name: 'distribution' } as const;
  assert.equal((await judge({ ...one!, differs }, distribution)).passed, false);
  const failing = { ...one!, run: () => Promise.reject(new Error('no')) };
  assert.equal((await judge({ ...failing, differs }, distribution)).passed, true);
  const otherwise = { ...one!, run: () => Promise.reject(new Error('another reason')) };
  assert.equal((await judge({ ...otherwise, differs }, distribution)).passed, false);
  assert.equal((await judge(failing, distribution)).passed, false);
  assert.equal((await judge({ ...failing, differs }, target)).passed, false);
});
