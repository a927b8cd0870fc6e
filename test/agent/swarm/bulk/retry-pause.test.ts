import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_PAUSE, LONGEST_PAUSE, RetryPause } from '../../../../agent/swarm/bulk/retry-pause.ts';

/** How long it may not be tried after a failure at `now`. */
function pauseAfter(retry: RetryPause, now: number): number {
  retry.failed(now);
  let pause = 0;
  while (!retry.mayTry(now + pause)) pause += 100;
  return pause;
}

test('each failure doubles the pause, up to ten minutes, and a body that came begins anew', () => {
  const retry = new RetryPause();
  assert.ok(retry.mayTry(0));
  const pauses = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((at) => pauseAfter(retry, at * 1_000_000));
  assert.deepEqual(pauses, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, LONGEST_PAUSE, LONGEST_PAUSE]);
  retry.worked();
  assert.equal(pauseAfter(retry, 10_000_000), FIRST_PAUSE);
});
