import { type BenchAgent, type BenchLan, drain, startLan } from './lan.ts';
import { type Process, run } from './processes.ts';
import { table } from './table.ts';

const MIB = 1024 * 1024;
const SIZE = 800 * MIB;
const AT_ONCE = 8;
/** What an agent may need above its size when ready. Bytes. */
const ALLOWED = 150 * MIB;
/** How long the slow clients are watched: long enough for a buffer without a bound to show. Milliseconds. */
const WATCH = 15_000;

type Watched = { readonly name: string; readonly above: number };

/** Peak RSS above the ready agent's, while blobs of 800 MiB are served in every way there is. */
export async function memory() {
  const lan = await startLan({ withKey: true });
  const watched: Watched[] = [];
  const watch = async (name: string, agent: BenchAgent, act: () => Promise<unknown>) => {
    agent.process.forgetPeak();
    await act();
    watched.push({ name, above: agent.process.peak() - agent.readyRss });
  };
  try {
    const holder = await lan.agent(1);
    const digests = Array.from({ length: AT_ONCE }, () => lan.blob(SIZE));
    const [first] = digests as [(typeof digests)[number]];
    const all = (agent: BenchAgent) => Promise.all(digests.map((digest) => drain(agent.url(digest), SIZE)));
    await watch('eight from upstream at once', holder, () => all(holder));
    await watch('one from the store', holder, () => drain(holder.url(first), SIZE));
    await watch('eight from the store at once', holder, () => all(holder));
    await watch('to a client that reads 5 MiB/s', holder, () => slowly(holder.url(first), '--rate', String(5 * MIB)));
    await watch('to a client that stops', holder, () => slowly(holder.url(first), '--stop-after', String(20 * MIB)));
    await fresh(lan, (taker) => watch('one from a peer', taker, () => drain(taker.url(first), SIZE)));
    await fresh(lan, async (taker) => {
      holder.process.forgetPeak();
      await watch('eight from a peer at once, the taker', taker, () => all(taker));
      watched.push({ name: 'eight from a peer at once, the holder', above: holder.process.peak() - holder.readyRss });
    });
    await fresh(lan, (taker) =>
      watch('from a peer, to a client that stops', taker, () =>
        slowly(taker.url(first), '--stop-after', String(20 * MIB)),
      ),
    );
  } finally {
    await lan.close();
  }
  console.log(
    table(
      ['800 MiB each', 'peak above ready, MiB', 'allowed'],
      watched.map(({ name, above }) => [name, (above / MIB).toFixed(0), above <= ALLOWED ? 'yes' : 'NO']),
    ),
  );
  return watched;
}

/** An agent that has nothing yet. */
async function fresh(lan: BenchLan, act: (taker: BenchAgent) => Promise<unknown>): Promise<void> {
  const taker = await lan.agent(2);
  try {
    await act(taker);
  } finally {
    await taker.stop();
  }
}

async function slowly(url: string, ...how: string[]): Promise<void> {
  const client: Process = run('bench/programs/drain.ts', url, ...how);
  await new Promise((resolve) => setTimeout(resolve, WATCH));
  await client.stop();
}
