import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A clock, a timer, chance, or the world outside, by whatever name a rule could reach it. */
const IMPURE =
  /\b(?:Date|performance|process|console|crypto|globalThis)\b\.?|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bMath\.random\b|\bfetch\(|\bawait\b|from 'node:/;

/** What is code of a file: a word in a comment does nothing. */
const code = (text: string) => text.replace(/\/\*.*?\*\//gs, '').replace(/^\s*\/\/.*$/gm, '');

test('the rules of sharing have no clock, timer, chance or wait of their own: a seed gives the same run to the byte', () => {
  const files = globSync('agent/fetch/rules/**/*.ts', { cwd: root });
  assert.ok(files.length > 20, `${files.length} files`);
  const impure = files.filter((file) => IMPURE.test(code(readFileSync(`${root}/${file}`, 'utf8'))));
  assert.deepEqual(impure, []);
  // What must be found is found.
  for (const line of [
    'const now = Date.now();',
    'return performance.now() - since;',
    'setTimeout(done, 5);',
    'if (Math.random() < 0.5) return;',
    "import { randomBytes } from 'node:crypto';",
    'const answer = await ask();',
  ]) {
    assert.match(code(line), IMPURE);
  }
  assert.doesNotMatch(code('// performance.now() is the caller’s\nconst x = now;'), IMPURE);
});
