import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { attempt, type CommandResult, must } from './commands.ts';
import type { Space } from './network.ts';
import { type Process, startProcess } from './process.ts';
import { until } from './until.ts';

const BIN = fileURLToPath(new URL('../../agent/cli/bin.ts', import.meta.url));

/** Where dockerd finds its agent. */
export const MIRROR = 'http://127.0.0.1:5055';

/** One of `layerlan peers --json`. */
export interface PeerReport {
  /** null for a static peer that was never reached. */
  readonly id: string | null;
  readonly addresses: readonly string[];
  readonly state: string;
  /** null where it is not known. */
  readonly blobs: number | null;
  readonly strikes: number;
}

/** A line of the agent's log; pino's numbers: 30 info, 40 warn, 50 error. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: number; readonly msg: string };

/** The real agent on one host, run as its users run it. */
export interface Agent {
  /** Starts it, and waits until its mirror answers. */
  start(): Promise<void>;
  /** Stops it, if it runs. */
  stop(): Promise<void>;
  /** The running process. @throws Error where there is none */
  readonly process: Process;
  /** A `layerlan` command with this agent's --config. */
  command(...args: string[]): Promise<CommandResult>;
  peers(): Promise<PeerReport[]>;
  status(): Promise<Record<string, unknown>>;
  /** A metric's value, summed over its labels but for those given; 0 where it is not there. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  log(): Promise<LogLine[]>;
  /** Everything it has printed. */
  output(): Promise<string>;
  readonly store: string;
  /** Where a held blob lies (OCI image layout). */
  blobFile(digest: string): string;
  /** Digests of the blobs that are held, by their names on disk. */
  heldBlobs(): Promise<string[]>;
  /** Asks the mirror for a path. The status is 0 where it did not answer. */
  ask(path: string, timeout?: number): Promise<MirrorAnswer>;
}

export interface MirrorAnswer {
  readonly status: number;
  readonly body: string;
  /** From asking to the last byte. Milliseconds. */
  readonly took: number;
}

/** One of `registries`. */
export interface RegistrySettings {
  readonly endpoints: readonly string[];
  readonly ca?: string;
  readonly credentials?: { readonly username: string; readonly passwordFile: string };
}

/** Keys of `store`. */
export interface StoreKeys {
  readonly path?: string;
  readonly [key: string]: unknown;
}

export interface AgentInit {
  readonly space: Space;
  readonly dir: string;
  /** A file for what it prints. */
  readonly log: string;
  /** As the configuration has them. */
  readonly registries: Readonly<Record<string, RegistrySettings>>;
  /** As the configuration has it. @default the agent's own */
  readonly mirror?: { readonly listen: readonly string[]; readonly allowedHosts?: readonly string[] };
  /** A network key's file. */
  readonly networkKeyFile?: string;
  /** Keys of `store`; they may depend on where the machine keeps things. @default of its path: in `dir` */
  readonly store?: StoreKeys | ((dir: string) => StoreKeys);
  /** peers.static. */
  readonly static?: readonly string[];
}

/** Runs a `layerlan` command that needs no running agent. */
export function layerlan(...args: string[]): Promise<CommandResult> {
  return attempt([process.execPath, BIN, ...args]);
}

/** Sets an agent up with its defaults, but for where it keeps things and where docker.io is; starts nothing. */
export async function createAgent(init: AgentInit): Promise<Agent> {
  const { space, dir } = init;
  await mkdir(dir, { recursive: true });
  const keys = typeof init.store === 'function' ? init.store(dir) : init.store;
  const store = keys?.path ?? join(dir, 'store');
  const configuration = join(dir, 'layerlan.yaml');
  const output = init.log;
  const settings = {
    store: { ...keys, path: store },
    registries: init.registries,
    ...(init.mirror !== undefined && { mirror: init.mirror }),
    peers: {
      ...(init.networkKeyFile !== undefined && { networkKeyFile: init.networkKeyFile }),
      ...(init.static !== undefined && { static: init.static }),
    },
  };
  // JSON is YAML.
  await writeFile(configuration, JSON.stringify(settings, undefined, 2));
  const argv = (command: string) => [...space.enter, process.execPath, BIN, command, '--config', configuration];
  const curl = [...space.enter, 'curl', '--silent'];
  let running: Process | undefined;

  const report = async (command: string) => JSON.parse(await must([...argv(command), '--json']));
  const log = async () => parseLog(await readFile(output, 'utf8'));
  return {
    store,
    start: async () => {
      const started = await startProcess({ argv: argv('start'), stdout: output });
      running = started;
      await until(
        `the agent of ${space.name} is ready`,
        async () => {
          if (!started.isRunning) return 'ended';
          return (await attempt([...curl, '--fail', `${MIRROR}/healthz`])).code === 0 && 'ready';
        },
        { timeout: 60_000 },
      );
      if (!started.isRunning)
        throw new Error(`the agent of ${space.name} ended at once: ${await readFile(output, 'utf8')}`);
    },
    stop: async () => {
      await running?.stop();
    },
    get process() {
      if (running === undefined) throw new Error(`the agent of ${space.name} was not started`);
      return running;
    },
    command: (command, ...args) => attempt([...argv(command as string), ...args]),
    peers: async () => (await report('peers')).peers,
    status: () => report('status'),
    metric: async (name, labels = {}) => sumMetric(await must([...curl, '--fail', `${MIRROR}/metrics`]), name, labels),
    log,
    output: () => readFile(output, 'utf8').catch(() => ''),
    blobFile: (digest) => join(store, 'blobs', digest.replace(':', '/')),
    heldBlobs: async () => {
      const names = await readdir(join(store, 'blobs/sha256')).catch(() => []);
      return names.map((name) => `sha256:${name}`);
    },
    ask: async (path, timeout = 30_000) => {
      const started = performance.now();
      const { stdout } = await attempt([...curl, '--write-out', '\n%{http_code}', `${MIRROR}${path}`], { timeout });
      const took = performance.now() - started;
      const end = stdout.lastIndexOf('\n');
      return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, Math.max(end, 0)), took };
    },
  };
}

/** The agent's peer id. */
export async function peerId(agent: Agent): Promise<string> {
  const status = await agent.status();
  const id = status.peerId;
  if (typeof id !== 'string') throw new Error(`no peer id in ${JSON.stringify(status)}`);
  return id;
}

function parseLog(text: string): LogLine[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

/** Reads the Prometheus text format as prom-client writes it. */
function sumMetric(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, found, given = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (found !== name) continue;
    if (Object.entries(labels).every(([key, wanted]) => given.split(',').includes(`${key}="${wanted}"`)))
      sum += Number(value);
  }
  return sum;
}

/** SHA-256 of a file, as a digest. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece);
  return `sha256:${hash.digest('hex')}`;
}
