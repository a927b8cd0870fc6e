import { unlink } from 'node:fs/promises';
import { type BenchAgent, drain, startLan } from './lan.ts';
import { run } from './processes.ts';
import { median, table } from './table.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const SIZE = 512 * MIB;
const ROUNDS = 5;

interface Run {
  readonly mibPerSecond: number;
  /** CPU-seconds a GiB. */
  readonly sender: number;
  readonly receiver: number;
  readonly firstByteMs: number;
}

/**
 * From a peer through the agent to a client, over loopback, beside a bare libp2p and Noise stream in turn with it:
 * each pair of runs is back to back, and the ratio is that of the pair.
 */
export async function pair() {
  const cases = [
    { name: 'peer to client, network key', withKey: true },
    { name: 'peer to client, no key', withKey: false },
  ];
  const rows: string[][] = [];
  const results: Record<string, unknown> = {};
  for (const { name, withKey } of cases) {
    const lan = await startLan({ withKey });
    try {
      const holder = await lan.agent(1);
      const taker = await lan.agent(2);
      const ours: Run[] = [];
      const bare: Run[] = [];
      const finished: string[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        const bareRun = await bareNoise();
        const digest = lan.blob(SIZE);
        await drain(holder.url(digest), SIZE);
        lan.upstream.forget();
        // Their pages serve the next blob, as on a machine that has run for a while; fresh ones cost a virtual machine
        // more than all the rest, and a bare stream needs none.
        await Promise.all(finished.splice(0).map((file) => unlink(file)));
        const ourRun = await throughAgents(holder, taker, taker.url(digest));
        finished.push(holder.file(digest), taker.file(digest));
        if (lan.upstream.blobGets() > 0) throw new Error('the blob did not come from the peer');
        // The first round warms both up.
        if (round > 0) {
          bare.push(bareRun);
          ours.push(ourRun);
        }
      }
      const ratio = median(ours.map((each, at) => each.mibPerSecond / (bare[at] as Run).mibPerSecond));
      rows.push(row(name, ours, ratio), row('  bare libp2p + Noise beside it', bare, 1));
      results[name] = { ours, bare, ratio };
    } finally {
      await lan.close();
    }
  }
  console.log(
    table(['512 MiB over loopback', 'MiB/s', 'of bare', 'sender CPU-s/GiB', 'receiver CPU-s/GiB', 'first byte'], rows),
  );
  return results;
}

async function throughAgents(holder: BenchAgent, taker: BenchAgent, url: string): Promise<Run> {
  const before = { sender: holder.process.cpu(), receiver: taker.process.cpu() };
  const { totalMs, firstByteMs } = await drain(url, SIZE);
  return {
    mibPerSecond: SIZE / MIB / (totalMs / 1000),
    sender: ((holder.process.cpu() - before.sender) * GIB) / SIZE,
    receiver: ((taker.process.cpu() - before.receiver) * GIB) / SIZE,
    firstByteMs,
  };
}

async function bareNoise(): Promise<Run> {
  const sender = run('bench/programs/bare-noise.ts', 'send', String(SIZE));
  const { address } = await sender.line<{ address: string }>();
  const before = sender.cpu();
  const receiver = run('bench/programs/bare-noise.ts', 'receive', address);
  try {
    const { totalMs, bytes, cpu } = await receiver.line<{ totalMs: number; bytes: number; cpu: number }>();
    if (bytes !== SIZE) throw new Error(`bare stream carried ${bytes} of ${SIZE} bytes`);
    return {
      mibPerSecond: SIZE / MIB / (totalMs / 1000),
      sender: ((sender.cpu() - before) * GIB) / SIZE,
      receiver: (cpu * GIB) / SIZE,
      firstByteMs: 0,
    };
  } finally {
    await Promise.all([sender.stop(), receiver.stop()]);
  }
}

function row(name: string, runs: Run[], ratio: number): string[] {
  const of = (pick: (run: Run) => number) => median(runs.map(pick));
  const first = of((each) => each.firstByteMs);
  return [
    name,
    of((each) => each.mibPerSecond).toFixed(0),
    ratio.toFixed(2),
    of((each) => each.sender).toFixed(1),
    of((each) => each.receiver).toFixed(1),
    first === 0 ? '' : `${first.toFixed(1)} ms`,
  ];
}
