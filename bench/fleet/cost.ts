import { readFileSync } from 'node:fs';
import type { Process } from '../../test/lan/process.ts';

/** Seconds (USER_HZ is 100 on Linux, whatever the machine). */
const TICK = 1 / 100;

/** What a process has cost so far. */
export interface Cost {
  /** CPU-seconds of all its threads; of a dead one, when it was last looked at. */
  cpu(): number;
  /** Largest RSS. Bytes; of a dead one, as it was last looked at. */
  peak(): number;
}

export function watchCost(running: Process): Cost {
  let cpu = 0;
  let peak = 0;
  const read = (file: string) => readFileSync(`/proc/${running.pid}/${file}`, 'utf8');
  return {
    cpu: () => {
      if (!running.isRunning) return cpu;
      // The second field is the command in parentheses and may hold anything.
      const fields = read('stat')
        .replace(/^.*\) /s, '')
        .split(' ');
      cpu = Math.max(cpu, (Number(fields[11]) + Number(fields[12])) * TICK);
      return cpu;
    },
    peak: () => {
      if (!running.isRunning) return peak;
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(read('status'))?.[1] ?? 0) * 1024);
      return peak;
    },
  };
}
