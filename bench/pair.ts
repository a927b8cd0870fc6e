import { mkdtemp, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Digest } from '../protocol/digest.ts';
import { inMemory } from './in-memory.ts';
import { type BenchAgent, type BenchLan, drain, startLan } from './lan.ts';
import { haveMemory } from './memory-at-hand.ts';
import { type Process, run } from './processes.ts';
import { median, table } from './table.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const SIZE = GIB;
const ROUNDS = 5;

/** Two blobs of a round and two of the one before, the bare stream's, memory at hand, and some. Bytes. */
const ROOM = 8 * GIB;

/** What upstream gives while a taker takes: enough to be asked, too little to count beside a peer. Bytes a second. */
const UPSTREAM_RATE = MIB;

interface Run {
  readonly mibPerSecond: number;
  /** CPU-seconds a GiB. */
  readonly sender: number;
  readonly receiver: number;
  readonly firstByteMs: number;
  /** Share of the bytes that came by a bulk lane. */
  readonly byLane: number;
}

/**
 * From a peer through the agent to a client, over loopback, beside a bare TLS connection and a bare libp2p and Noise
 * stream in turn with it: each three runs are back to back, and the ratios are those of the three. All write to memory:
 * the store brings what it holds to its disk, and the bare streams do not.
 */
export async function pair() {
  const cases = [
    { name: 'peer to client, network key', withKey: true },
    { name: 'peer to client, no key', withKey: false },
  ];
  const rows: string[][] = [];
  const results: Record<string, unknown> = {};
  const beside = inMemory(ROOM) ?? tmpdir();
  const directory = await mkdtemp(join(beside, 'layerlan-bench-bare-'));
  try {
    for (const { name, withKey } of cases) {
      const { ours, tls, noise } = await rounds(withKey, beside, join(directory, 'file'));
      const [ofTls, ofNoise] = [tls, noise].map((bare) => ratioOf(ours, bare));
      rows.push(
        row(name, ours, [ofTls ?? 0, ofNoise ?? 0]),
        row('  bare TLS, two hashes, a file', tls, []),
        row('  bare libp2p + Noise', noise, []),
      );
      results[name] = { ours, tls, noise, ofTls, ofNoise };
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  console.log(table(HEADINGS, rows));
  return results;
}

const HEADINGS = [
  '1 GiB over loopback',
  'MiB/s',
  'of TLS',
  'of Noise',
  'sender CPU-s/GiB',
  'receiver CPU-s/GiB',
  'both',
  'first byte',
  'by lane',
];

async function rounds(
  withKey: boolean,
  beside: string,
  file: string,
): Promise<{ ours: Run[]; tls: Run[]; noise: Run[] }> {
  const lan = await startLan({ withKey, beside });
  const runs = { ours: [] as Run[], tls: [] as Run[], noise: [] as Run[] };
  try {
    const holder = await lan.agent(1);
    const taker = await lan.agent(2);
    const finished: string[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      await haveMemory(dirname(file), SIZE);
      const [tls, noise] = [await bareTls(file), await bareNoise()];
      const digest = lan.blob(SIZE);
      await drain(holder.url(digest), SIZE);
      // Their pages serve the next blob, as on a machine that has run for a while; fresh ones cost a virtual machine
      // more than all the rest, and a bare stream needs none.
      await Promise.all(finished.splice(0).map((path) => unlink(path)));
      await haveMemory(dirname(file), SIZE);
      const ours = await throughAgents(lan, holder, taker, digest);
      finished.push(holder.file(digest), taker.file(digest));
      // The first round warms all of them up, and opens the lane.
      if (round === 0) continue;
      runs.tls.push(tls);
      runs.noise.push(noise);
      runs.ours.push(ours);
    }
    return runs;
  } finally {
    await lan.close();
  }
}

async function throughAgents(lan: BenchLan, holder: BenchAgent, taker: BenchAgent, digest: Digest): Promise<Run> {
  // On a busy machine a peer may look slow, and upstream, which is in this process, fast: it must not decide a run.
  const pace = lan.upstream.misbehave({ kind: 'rate', bytesPerSecond: UPSTREAM_RATE });
  try {
    const before = { sender: holder.process.cpu(), receiver: taker.process.cpu(), byLane: await taker.laneBytes() };
    const { totalMs, firstByteMs } = await drain(taker.url(digest), SIZE);
    return {
      mibPerSecond: SIZE / MIB / (totalMs / 1000),
      sender: ((holder.process.cpu() - before.sender) * GIB) / SIZE,
      receiver: ((taker.process.cpu() - before.receiver) * GIB) / SIZE,
      firstByteMs,
      byLane: ((await taker.laneBytes()) - before.byLane) / SIZE,
    };
  } finally {
    pace();
  }
}

async function bareTls(file: string): Promise<Run> {
  const sender = run('bench/programs/bare-tls.ts', 'send', String(SIZE));
  const { port } = await sender.line<{ port: number }>();
  return bare(sender, () => run('bench/programs/bare-tls.ts', 'receive', String(port), file));
}

async function bareNoise(): Promise<Run> {
  const sender = run('bench/programs/bare-noise.ts', 'send', String(SIZE));
  const { address } = await sender.line<{ address: string }>();
  return bare(sender, () => run('bench/programs/bare-noise.ts', 'receive', address));
}

async function bare(sender: Process, start: () => Process): Promise<Run> {
  const before = sender.cpu();
  const receiver = start();
  try {
    const { totalMs, bytes, cpu } = await receiver.line<{ totalMs: number; bytes: number; cpu: number }>();
    if (bytes !== SIZE) throw new Error(`a bare connection carried ${bytes} of ${SIZE} bytes`);
    return {
      mibPerSecond: SIZE / MIB / (totalMs / 1000),
      sender: ((sender.cpu() - before) * GIB) / SIZE,
      receiver: (cpu * GIB) / SIZE,
      firstByteMs: 0,
      byLane: 0,
    };
  } finally {
    await Promise.all([sender.stop(), receiver.stop()]);
  }
}

function ratioOf(ours: Run[], bare: Run[]): number {
  return median(ours.map((each, at) => each.mibPerSecond / (bare[at] as Run).mibPerSecond));
}

function row(name: string, runs: Run[], ratios: number[]): string[] {
  const of = (pick: (run: Run) => number) => median(runs.map(pick));
  const first = of((each) => each.firstByteMs);
  const isOurs = ratios.length > 0;
  return [
    name,
    of((each) => each.mibPerSecond).toFixed(0),
    ...(isOurs ? ratios.map((ratio) => ratio.toFixed(2)) : ['', '']),
    of((each) => each.sender).toFixed(1),
    of((each) => each.receiver).toFixed(1),
    of((each) => each.sender + each.receiver).toFixed(1),
    isOurs ? `${first.toFixed(1)} ms` : '',
    isOurs ? `${(100 * of((each) => each.byLane)).toFixed(0)} %` : '',
  ];
}
