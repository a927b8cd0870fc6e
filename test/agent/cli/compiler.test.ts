import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** Far more than TurboFan waits for. */
const ROUNDS = 20_000;

/** Runs a hot loop, `first` before it, until TurboFan has compiled it or it had its rounds. @returns its compiler */
async function compiledBy(first: string, rounds: number): Promise<string> {
  const program = `
    import { leaveOutTurboFan } from './agent/cli/compiler.ts';
    ${first}
    function sum(most) { let all = 0; for (let each = 0; each < most; each++) all = (all + each * 3) | 0; return all; }
    const until = performance.now() + 30_000;
    let tier = 'none';
    for (let round = 0; (round < ${rounds} || tier === 'none') && tier !== 'TurboFan' && performance.now() < until; round++) {
      sum(5_000);
      // Code is compiled in another thread, and put in place by this one's loop.
      if (round % 100 === 0) await new Promise(setImmediate);
      tier = %ActiveTierIsTurbofan(sum) ? 'TurboFan' : %ActiveTierIsMaglev(sum) ? 'Maglev' : tier;
    }
    console.log(tier);`;
  const flags = ['--allow-natives-syntax', '--input-type=module', '--eval', program];
  return (await promisify(execFile)(process.execPath, flags, { timeout: 60_000 })).stdout.trim();
}

test('hot code is compiled by Maglev, and no longer by TurboFan', async () => {
  assert.equal(await compiledBy('', Number.POSITIVE_INFINITY), 'TurboFan');
  assert.equal(await compiledBy('leaveOutTurboFan();', ROUNDS), 'Maglev');
});
