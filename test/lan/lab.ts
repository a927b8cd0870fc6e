import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Agent, createAgent, MIRROR, peerId } from './agent.ts';
import { type DockerDaemon, startDockerDaemon } from './daemon.ts';
import { type Images, readImages } from './image.ts';
import { createNetwork, type Network, type Space } from './network.ts';
import { LAB_DIR } from './place.ts';
import { recordProcess, startProcess } from './process.ts';
import { startRegistry, type UpstreamRegistry } from './registry.ts';
import { until } from './until.ts';

/** How long a case may take. Milliseconds: three times and more of what the slowest takes on two cores. */
const CASE_TIMEOUT = 240_000;

/** How long neighbours may take to find each other: mDNS asks every ten seconds, and one question may be lost. */
const DISCOVERY_TIMEOUT = 60_000;

/** How many lines of each log are shown where a case fails. */
const SHOWN_LINES = 40;

/** A machine of the LAN: an agent, and a dockerd whose mirror it is. */
export interface Host {
  readonly space: Space;
  readonly agent: Agent;
  readonly docker: DockerDaemon;
}

export interface Lab {
  readonly network: Network;
  readonly registry: UpstreamRegistry;
  readonly images: Images;
  /** Adds a host with a dockerd of its own; its agent is not started yet. */
  addHost(init?: HostInit): Promise<Host>;
  /** Adds a machine that runs a single process and no agent. It gets the machine's address; SIGTERM ends it. */
  addStranger(argv: (address: string) => readonly string[]): Promise<Stranger>;
  /** Shows a figure beside the case's result. */
  note(text: string): void;
}

export interface Stranger {
  readonly space: Space;
  /** The first line it printed, awaited. */
  readonly greeting: string;
}

export interface HostInit {
  readonly networkKeyFile?: string;
  /** Multiaddrs. @default none: agents find each other by mDNS */
  readonly static?: readonly string[];
}

/** A case with a LAN of its own, gone when it ends. Where it fails, the last lines of the agents' logs are printed. */
export function labTest(name: string, body: (lab: Lab) => Promise<void>): void {
  test(name, { timeout: CASE_TIMEOUT }, async (t) => {
    await body(await openLab(t));
  });
}

async function openLab(t: TestContext): Promise<Lab> {
  const started = performance.now();
  const closers: (() => Promise<unknown>)[] = [];
  const logs: string[] = [];
  t.after(async () => {
    if (!t.passed) for (const log of logs) await printTail(log);
    const failures: unknown[] = [];
    // One that fails must not keep the rest from being removed.
    for (const close of closers.reverse()) await close().catch((error) => failures.push(error));
    t.diagnostic(`took ${((performance.now() - started) / 1000).toFixed(1)} s`);
    if (failures.length > 0) throw new AggregateError(failures, 'the lab was not removed cleanly');
  });
  // Left alone by a killed run, this process would go on to remove the next run's namespaces.
  recordProcess(process.pid);
  const images = await readImages();
  const network = await createNetwork();
  closers.push(() => network.close());
  const logDir = join(LAB_DIR, 'logs', t.name.replace(/[^a-z0-9]+/gi, '-'));
  await rm(logDir, { recursive: true, force: true });
  const registry = await startRegistry({ space: network.upstream, dir: logDir });
  closers.push(() => registry.stop());
  let hosts = 0;
  return {
    network,
    registry,
    images,
    addHost: async (init = {}) => {
      hosts++;
      const name = `h${hosts}`;
      const dir = join(LAB_DIR, name);
      const space = await network.addHost(hosts);
      closers.push(() => rm(dir, { recursive: true, force: true }));
      const [agentLog, dockerLog] = [join(logDir, `${name}-agent.log`), join(logDir, `${name}-dockerd.log`)];
      logs.push(agentLog, dockerLog);
      const agent = await createAgent({ space, dir, log: agentLog, upstream: registry.url, ...init });
      closers.push(() => agent.stop());
      const docker = await startDockerDaemon({ space, dir, log: dockerLog, mirrors: [MIRROR] });
      closers.push(() => docker.stop());
      return { space, agent, docker };
    },
    addStranger: async (argv) => {
      hosts++;
      const space = await network.addHost(hosts);
      const log = join(logDir, `h${hosts}-stranger.log`);
      logs.push(log);
      const stranger = await startProcess({ argv: [...space.enter, ...argv(space.address)], stdout: log });
      closers.push(() => stranger.stop());
      const greeting = await until(
        `${space.name} says that it is there`,
        async () => stranger.isRunning && /^(.+)\n/.exec(await readFile(log, 'utf8'))?.[1],
        { timeout: 30_000 },
      );
      return { space, greeting };
    },
    note: (text) => t.diagnostic(text),
  };
}

async function printTail(path: string): Promise<void> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).trimEnd().split('\n');
  console.error([`--- ${path}, last lines:`, ...lines.slice(-SHOWN_LINES)].join('\n'));
}

/** Waits until each of `agents` is connected to each other one. */
export async function untilConnected(...agents: readonly Agent[]): Promise<void> {
  const ids = await Promise.all(agents.map(peerId));
  await Promise.all(
    agents.map((agent, index) => untilConnectedTo(agent, ...ids.filter((_, other) => other !== index))),
  );
}

/** Waits until an agent is connected to peers with these ids, as `layerlan peers` has it. */
export async function untilConnectedTo(agent: Agent, ...ids: readonly string[]): Promise<void> {
  await until(
    `the agent at ${agent.store} is connected to ${ids}`,
    async () => {
      const connected = (await agent.peers()).filter((peer) => peer.state === 'connected').map((peer) => peer.id);
      return ids.every((id) => connected.includes(id));
    },
    { timeout: DISCOVERY_TIMEOUT, every: 250 },
  );
}
