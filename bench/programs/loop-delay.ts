/**
 * Loaded into an agent before it starts (`--import`): how late its main loop is, written as JSON to the file that
 * LAYERLAN_BENCH_LOOP_DELAY names when the agent ends. SIGUSR2 begins anew.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/** How often the loop is looked at. ms */
const RESOLUTION = 5;

const file = process.env.LAYERLAN_BENCH_LOOP_DELAY;
if (isMainThread && file !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION });
  delays.enable();
  process.on('SIGUSR2', () => delays.reset());
  // Of what it measures, the resolution itself is no delay.
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  process.on('exit', () =>
    writeFileSync(
      file,
      JSON.stringify({ p50: ms(delays.percentile(50)), p99: ms(delays.percentile(99)), max: ms(delays.max) }),
    ),
  );
}
