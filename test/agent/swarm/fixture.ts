import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { createMetrics, type Metrics } from '../../../agent/observe/metrics.ts';
import { createSwarm } from '../../../agent/swarm/create.ts';
import type { SwarmInit } from '../../../agent/swarm/init.ts';
import type { LanSwarm } from '../../../agent/swarm/swarm.ts';
import { createMemoryHoldings, type MemoryHoldings } from '../../support/holdings.ts';

/** Ends what should have ended long before. ms */
export const PATIENCE = 30_000;

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface TestPeer {
  readonly swarm: LanSwarm;
  readonly holdings: MemoryHoldings;
  readonly metrics: Metrics;
  readonly log: LogLine[];
  /** Path of its identity. */
  readonly identityPath: string;
}

let nextHost = 2;

/** An address of its own for each peer: peers of one address count as one. */
export function nextAddress(): string {
  const host = nextHost++;
  return `127.0.${(host >> 8) & 0xff}.${host & 0xff}`;
}

export async function temporaryDirectory(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'layerlan-swarm-'));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

export async function startPeer(context: TestContext, init: Partial<SwarmInit> = {}): Promise<TestPeer> {
  const identityPath = init.identityPath ?? join(await temporaryDirectory(context), 'identity');
  const holdings = createMemoryHoldings();
  const metrics = createMetrics();
  const log: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => log.push(JSON.parse(line)) });
  const swarm = await createSwarm(
    { logger, metrics, holdings },
    {
      listen: [`/ip4/${nextAddress()}/tcp/0`],
      mdns: false,
      dht: false,
      advertiseCalm: 0,
      redialMin: 100,
      ...init,
      identityPath,
    },
  );
  context.after(() => swarm.stop());
  return { swarm, holdings, metrics, log, identityPath };
}

/** A peer that knows `others` and is connected to them. */
export async function startConnected(
  context: TestContext,
  others: readonly TestPeer[],
  init: Partial<SwarmInit> = {},
): Promise<TestPeer> {
  const peer = await startPeer(context, { staticPeers: others.map(({ swarm }) => swarm.addresses[0] ?? ''), ...init });
  await until(() => others.every(({ swarm }) => isConnected(peer.swarm, swarm) && isConnected(swarm, peer.swarm)));
  return peer;
}

export function isConnected(swarm: LanSwarm, other: LanSwarm): boolean {
  return swarm.peers().some(({ id, state }) => id === other.peerId && state === 'connected');
}

/** Waits for what no event tells. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${PATIENCE} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const soon = (): AbortSignal => AbortSignal.timeout(PATIENCE);

export function blob(length: number): Buffer {
  return randomBytes(length);
}
