import { fileURLToPath } from 'node:url';
import type { Space } from '../../test/lan/network.ts';
import { REPOSITORY } from './registry.ts';
import { startTalker, type Talker } from './talker.ts';

const PROGRAM = fileURLToPath(new URL('../programs/puller.ts', import.meta.url));

/** How one pull went; instants in milliseconds since the epoch. */
export interface PullResult {
  readonly ok: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly bytes: number;
  /** From the start to the first byte of a layer. */
  readonly firstByteMs: number;
  /** How often a body ended short and was taken up again. */
  readonly resumed: number;
  readonly error?: string;
}

export interface PullOrder {
  readonly space: Space;
  readonly mirror: string;
  readonly tags: readonly string[];
  /** Milliseconds after the others'. @default 0 */
  readonly delay?: number;
}

/** A puller that is warm and waits for the word. */
export interface Puller {
  readonly order: PullOrder;
  /** Lets it start. Settles when it is done, or given up after `timeout` milliseconds. Never rejects. */
  go(timeout: number): Promise<PullResult>;
  end(): Promise<void>;
}

/** Starts pullers and waits until all are warm. */
export async function readyPullers(orders: readonly PullOrder[], log: string): Promise<Puller[]> {
  const started: Talker[] = [];
  try {
    const pullers = orders.map((order): Puller => {
      const job = JSON.stringify({ mirror: order.mirror, repository: REPOSITORY, tags: order.tags });
      const talker = startTalker([...order.space.enter, process.execPath, PROGRAM, job], log);
      started.push(talker);
      return { order, go: (timeout) => go(talker, timeout), end: () => talker.end() };
    });
    await Promise.all(started.map((talker) => talker.hear()));
    return pullers;
  } catch (error) {
    await Promise.all(started.map((talker) => talker.end()));
    throw error;
  }
}

async function go(talker: Talker, timeout: number): Promise<PullResult> {
  const startedAt = Date.now();
  talker.say({ go: true });
  try {
    return await talker.hear<PullResult>(timeout);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, startedAt, endedAt: Date.now(), bytes: 0, firstByteMs: 0, resumed: 0, error: message };
  } finally {
    await talker.end();
  }
}

/** Pulls once for each order, all from the same instant but for their delays. */
export async function pullAll(orders: readonly PullOrder[], log: string, timeout: number): Promise<PullResult[]> {
  const pullers = await readyPullers(orders, log);
  return Promise.all(pullers.map((puller) => puller.go(timeout)));
}

/** From the first start to the last end. Seconds; infinite where one did not end well. */
export function duration(results: readonly PullResult[]): number {
  if (results.length === 0 || results.some(({ ok }) => !ok)) return Number.POSITIVE_INFINITY;
  const from = Math.min(...results.map(({ startedAt }) => startedAt));
  return (Math.max(...results.map(({ endedAt }) => endedAt)) - from) / 1000;
}
