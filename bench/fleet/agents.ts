import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentStatus } from '../../agent/observe/status.ts';
import { attempt } from '../../test/lan/commands.ts';
import type { Space } from '../../test/lan/network.ts';
import { startProcess } from '../../test/lan/process.ts';
import { until } from '../../test/lan/until.ts';
import { type Cost, watchCost } from './cost.ts';

/** The agent of this checkout, or of another to be measured by the same bench. */
const BIN = join(
  process.env.LAYERLAN_BENCH_CHECKOUT ?? fileURLToPath(new URL('../..', import.meta.url)),
  'agent/cli/bin.ts',
);
/** Where agents leave CPU profiles, for whoever wonders what they do; it costs them, so figures do not count then. */
const PROFILES = process.env.LAYERLAN_BENCH_PROFILES;
const PROFILING = PROFILES === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`];
/** How long an agent may take to start. Milliseconds: forty start at once on two cores. */
const START_TIMEOUT = 180_000;

/** A real agent in a process of its own, and what it costs. */
export interface FleetAgent extends Cost {
  readonly pid: number;
  /** The address where peers reach it. */
  readonly address: string;
  /** `http://host:port`, to be asked from inside its namespace. */
  readonly mirror: string;
  readonly peerId: string;
  readonly store: string;
  /** SIGKILL. */
  kill(): void;
  pause(): void;
  resume(): void;
  status(): Promise<AgentStatus>;
  /** A counter of its metrics, summed over all whose name fits; undefined where there is none. */
  metric(name: RegExp): Promise<number | undefined>;
  stop(): Promise<void>;
}

export interface FleetAgentInit {
  readonly space: Space;
  /** Its own, empty but for an identity where one was chosen. */
  readonly dir: string;
  readonly log: string;
  readonly upstream: string;
  /** Addresses of the others; mDNS alone would find them too, ten seconds later. */
  readonly others: readonly string[];
  readonly networkKeyFile?: string;
  /** An address of its own on its namespace's loopback. @default none: one agent a namespace, at its usual ports */
  readonly loopback?: string;
  /** Whether chunks may come by bulk lanes. @default true */
  readonly lanes?: boolean;
}

/** Where an agent keeps its identity. */
export const identityFile = (dir: string) => join(dir, 'store', 'identity.key');

const multiaddr = (address: string) => `/ip4/${address}/tcp/4055`;

const bulk = (address: string) => [`/ip4/${address}/tcp/4056`];

/** Starts one and waits until it is ready. */
export async function startFleetAgent(init: FleetAgentInit): Promise<FleetAgent> {
  const { space, dir, log, loopback } = init;
  await mkdir(dir, { recursive: true });
  const store = join(dir, 'store');
  const mirror = `${loopback ?? '127.0.0.1'}:5055`;
  const address = loopback ?? space.address;
  const settings = {
    store: { path: store },
    mirror: { listen: mirror },
    registries: { 'docker.io': { endpoints: [init.upstream] } },
    peers: {
      static: init.others.filter((other) => other !== address).map(multiaddr),
      ...(loopback !== undefined && { listen: [multiaddr(loopback)], mdns: false, bulk: { listen: bulk(loopback) } }),
      ...(init.lanes === false && { bulk: null }),
      ...(init.networkKeyFile !== undefined && { networkKeyFile: init.networkKeyFile }),
    },
  };
  const configuration = join(dir, 'layerlan.yaml');
  // JSON is YAML.
  await writeFile(configuration, JSON.stringify(settings));
  const argv = [...space.enter, process.execPath, ...PROFILING, BIN, 'start', '--config', configuration];
  const running = await startProcess({ argv, stdout: log });
  const get = async (path: string) => {
    const curl = ['curl', '--silent', '--fail', '--max-time', '10', `http://${mirror}${path}`];
    const { code, stdout } = await attempt([...space.enter, ...curl]);
    return code === 0 ? stdout : undefined;
  };
  const status = async () => {
    const text = await get('/status');
    if (text === undefined) throw new Error(`the agent at ${address} does not say how it is`);
    return JSON.parse(text) as AgentStatus;
  };
  const first = await until(
    `the agent at ${address} is ready`,
    async (): Promise<AgentStatus | 'ended' | undefined> =>
      running.isRunning ? status().catch(() => undefined) : 'ended',
    { timeout: START_TIMEOUT, every: 250 },
  ).catch(async (error) => {
    await running.stop();
    throw error;
  });
  if (first === 'ended') throw new Error(`the agent at ${address} ended at once: ${await readFile(log, 'utf8')}`);
  const cost = watchCost(running);
  return {
    address,
    mirror: `http://${mirror}`,
    pid: running.pid,
    peerId: first.peerId,
    store,
    ...cost,
    kill: () => {
      cost.cpu();
      cost.peak();
      running.signal('SIGKILL');
    },
    pause: () => running.signal('SIGSTOP'),
    resume: () => running.signal('SIGCONT'),
    status,
    metric: async (name) => {
      const found = ((await get('/metrics')) ?? '')
        .split('\n')
        .filter((line) => name.test(line.split(/[ {]/)[0] ?? ''));
      return found.length === 0 ? undefined : found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    stop: async () => {
      running.signal('SIGCONT');
      if (PROFILES !== undefined) return void (await running.stop());
      // Its store goes too: nothing is lost, and forty agents that close in good order take long on two cores.
      running.signal('SIGKILL');
      await running.ended;
    },
  };
}

/** Waits until each agent is connected to `count` others. */
export async function untilMeshed(agents: readonly FleetAgent[], count: number): Promise<void> {
  for (const agent of agents) {
    await until(
      `the agent at ${agent.address} is connected to ${count}`,
      async () => (await agent.status()).peers.filter(({ state }) => state === 'connected').length >= count,
      { timeout: 120_000, every: 250 },
    );
  }
}

/** Waits until each of `agents` knows so many blobs of so many neighbours. */
export async function untilKnown(agents: readonly FleetAgent[], holders: number, blobs: number): Promise<void> {
  for (const agent of agents) {
    await until(
      `the agent at ${agent.address} knows what ${holders} hold`,
      async () => (await agent.status()).peers.filter((peer) => (peer.blobs ?? 0) >= blobs).length >= holders,
      { timeout: 30_000, every: 250 },
    );
  }
}
