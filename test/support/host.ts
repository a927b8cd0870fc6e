import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { stringify } from 'yaml';
import { type Agent, startAgent } from '../../agent/agent.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { type PulledImage, pullImage } from './puller.ts';

/** How a host of a test is set. Everything listens on its own loopback address, since peers of one address count as one. */
export interface HostOptions {
  /** @default 127.0.0.2 */
  readonly address?: string;
  /** URL of the registry behind docker.io. */
  readonly upstream: string;
  /** Multiaddrs of the peers it dials. @default [] */
  readonly peers?: readonly string[];
  readonly networkKeyFile?: string;
  /** How docker.io's tags are treated. @default as the agent's defaults have it */
  readonly tags?: Record<string, unknown>;
  /** Sections laid over the configuration. */
  readonly config?: Record<string, Record<string, unknown>>;
  /** A directory to keep; one of its own otherwise, which goes with the host. */
  readonly directory?: string;
  /** Where a proxy may be named. @default {} */
  readonly env?: Record<string, string>;
  /** @default a logger that only remembers, see {@link Host.log} */
  readonly logger?: Logger;
}

/** An agent as an operator would run it, in this process, and what it said. */
export interface Host {
  readonly agent: Agent;
  readonly directory: string;
  /** `http://host:port` */
  readonly mirror: string;
  /** Log lines of level info and above, parsed. */
  readonly log: Record<string, unknown>[];
  pull(repository: string, reference: string): Promise<PulledImage>;
  stop(): Promise<void>;
}

export async function startHost(options: HostOptions): Promise<Host> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'layerlan-host-')));
  const log: Record<string, unknown>[] = [];
  const logger =
    options.logger ?? pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) });
  const config = loadConfig({ file: await writeConfig(directory, options) });
  const agent = await startAgent({ logger, env: options.env ?? {} }, config);
  const mirror = `http://${agent.mirror[0]}`;
  return {
    agent,
    directory,
    mirror,
    log,
    pull: (repository, reference) => pullImage({ mirror, repository, reference }),
    stop: async () => {
      await agent.stop();
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Writes a host's configuration file. @returns its path */
export async function writeConfig(directory: string, options: HostOptions): Promise<string> {
  const { address = '127.0.0.2', upstream, peers = [], networkKeyFile = null, tags = {}, config = {} } = options;
  const sections: Record<string, Record<string, unknown>> = {
    mirror: { listen: `${address}:0` },
    // What a test shows must not depend on how full the disk it runs on is.
    store: { path: join(directory, 'store'), minFree: '0B' },
    peers: {
      listen: [`/ip4/${address}/tcp/0`],
      bulk: { listen: [`/ip4/${address}/tcp/0`] },
      mdns: false,
      static: [...peers],
      networkKeyFile,
    },
    registries: { 'docker.io': { endpoints: [upstream], tags } },
  };
  for (const [name, section] of Object.entries(config)) sections[name] = { ...sections[name], ...section };
  const file = join(directory, 'layerlan.yaml');
  await writeFile(file, stringify(sections));
  return file;
}

/** Waits until `condition` holds. @throws after `within` milliseconds, with `what` */
export async function until(what: string, condition: () => boolean | Promise<boolean>, within = 15_000): Promise<void> {
  const end = performance.now() + within;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until `host` is connected to `count` peers. */
export function connected(host: Host, count: number): Promise<void> {
  return until(`${count} peers connected`, async () => {
    const { peers } = await host.agent.status();
    return peers.filter((peer) => peer.state === 'connected').length >= count;
  });
}
