import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Agent, type AgentInit, createAgent, MIRROR, peerId } from './agent.ts';
import type { Client, StartClient } from './clients/client.ts';
import { type DockerDaemon, type DockerDaemonInit, startDockerDaemon } from './daemon.ts';
import { type Images, readImages } from './image.ts';
import { createNetwork, type Network, type Space } from './network.ts';
import { LAB_DIR } from './place.ts';
import { recordProcess, startProcess } from './process.ts';
import { type RegistryLock, startRegistry, type UpstreamRegistry } from './registry.ts';
import { until } from './until.ts';

/** How long a case may take. Milliseconds: three times and more of what the slowest takes on two cores. */
const CASE_TIMEOUT = 240_000;

/** How long neighbours may take to find each other: mDNS asks every ten seconds, and one question may be lost. */
const DISCOVERY_TIMEOUT = 60_000;

/** How many lines of each log are shown where a case fails. */
const SHOWN_LINES = 40;

/** A registry beside docker.io that every agent is set up for. */
export const SECOND_REGISTRY = 'registry.test';

/** A machine of the LAN with an agent. */
export interface Machine {
  readonly space: Space;
  /** A directory of its own. */
  readonly dir: string;
  readonly agent: Agent;
}

/** A machine with a dockerd whose mirror is its agent. */
export interface Host extends Machine {
  readonly docker: DockerDaemon;
}

export interface Lab {
  readonly network: Network;
  readonly registry: UpstreamRegistry;
  readonly images: Images;
  /** Adds a machine; its agent is not started yet. */
  addMachine(init?: MachineInit): Promise<Machine>;
  /** Adds a machine with a dockerd of its own; its agent is not started yet. */
  addHost(init?: MachineInit, docker?: DockerInit): Promise<Host>;
  /** Starts a dockerd on a machine, whose agent may be running. */
  addDocker(machine: Machine, docker?: DockerInit): Promise<Host>;
  /** Sets up a client on a machine, with its agent as mirror of docker.io and {@link SECOND_REGISTRY}. */
  addClient(machine: Machine, start: StartClient): Promise<Client>;
  /** What the client of a machine has logged, where it is a daemon. */
  clientLog(machine: Machine): Promise<string>;
  /** Adds a second registry upstream, with the same images behind TLS and a password. */
  addLockedRegistry(lock: RegistryLock): Promise<UpstreamRegistry>;
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

/** What of an agent's configuration is not as the lab has it; `static` may hold multiaddrs where mDNS is not enough. */
export type MachineInit = Partial<Pick<AgentInit, 'networkKeyFile' | 'static' | 'store' | 'mirror' | 'registries'>>;

/** What of its dockerd is not as the lab has it. */
export type DockerInit = Pick<DockerDaemonInit, 'bridge'>;

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
  const addMachine = async (init: MachineInit = {}): Promise<Machine> => {
    hosts++;
    const name = `h${hosts}`;
    const dir = join(LAB_DIR, name);
    const space = await network.addHost(hosts);
    closers.push(() => rm(dir, { recursive: true, force: true }));
    const log = join(logDir, `${name}-agent.log`);
    logs.push(log);
    const settings = { endpoints: [registry.url] };
    const registries = { 'docker.io': settings, [SECOND_REGISTRY]: settings };
    const agent = await createAgent({ space, dir, log, registries, ...init });
    closers.push(() => agent.stop());
    return { space, dir, agent };
  };
  const addDocker = async (machine: Machine, given?: DockerInit): Promise<Host> => {
    const { space, dir } = machine;
    const log = join(logDir, `${space.name}-dockerd.log`);
    logs.push(log);
    const docker = await startDockerDaemon({ space, dir, log, mirrors: [MIRROR], ...given });
    closers.push(() => docker.stop());
    return { ...machine, docker };
  };
  const clientLog = ({ space }: Machine) => join(logDir, `${space.name}-client.log`);
  const addClient: Lab['addClient'] = async (machine, start) => {
    const { space, dir } = machine;
    const log = clientLog(machine);
    logs.push(log);
    const mirror = new URL(MIRROR).host;
    const client = await start({ space, dir, log, mirror, registries: ['docker.io', SECOND_REGISTRY] });
    closers.push(() => client.stop());
    return client;
  };
  return {
    network,
    registry,
    images,
    addMachine,
    addClient,
    clientLog: (machine) => readFile(clientLog(machine), 'utf8'),
    addDocker,
    addHost: async (init, given) => addDocker(await addMachine(init), given),
    addLockedRegistry: async (locked) => {
      const second = await startRegistry({ space: network.upstream, dir: join(logDir, 'locked'), locked });
      closers.push(() => second.stop());
      return second;
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
