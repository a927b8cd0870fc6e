import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drain, startLan } from './lan.ts';
import { table } from './table.ts';

const MIB = 1024 * 1024;
const SIZE = 1024 * MIB;
const AT_ONCE = 8;

interface Delay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Eight blobs of 1 GiB on their way from a peer at once: how late the main loop is, and what memory it takes. */
export async function flight() {
  const lan = await startLan({ withKey: true });
  const results: { name: string; delay: Delay; above: number; seconds: number }[] = [];
  try {
    const holder = await lan.agent(1, { watchLoop: true });
    const taker = await lan.agent(2, { watchLoop: true });
    const digests = Array.from({ length: AT_ONCE }, () => lan.blob(SIZE));
    for (const digest of digests) await drain(holder.url(digest), SIZE);
    lan.upstream.forget();
    for (const agent of [holder, taker]) {
      agent.process.forgetPeak();
      agent.process.signal('SIGUSR2');
    }
    const since = performance.now();
    await Promise.all(digests.map((digest) => drain(taker.url(digest), SIZE)));
    const seconds = (performance.now() - since) / 1000;
    if (lan.upstream.blobGets() > 0) throw new Error('a blob did not come from the peer');
    for (const [name, agent] of [
      ['the taker', taker],
      ['the holder', holder],
    ] as const) {
      const above = agent.process.peak() - agent.readyRss;
      await agent.stop();
      const delay: Delay = JSON.parse(await readFile(join(agent.home, 'loop-delay.json'), 'utf8'));
      results.push({ name, delay, above, seconds });
    }
  } finally {
    await lan.close();
  }
  console.log(
    table(
      ['8 × 1 GiB from a peer at once', 'loop delay p50', 'p99', 'max ms', 'peak above ready, MiB', 'MiB/s in all'],
      results.map(({ name, delay, above, seconds }) => [
        name,
        delay.p50.toFixed(1),
        delay.p99.toFixed(1),
        delay.max.toFixed(0),
        (above / MIB).toFixed(0),
        ((AT_ONCE * SIZE) / MIB / seconds).toFixed(0),
      ]),
    ),
  );
  return results;
}
