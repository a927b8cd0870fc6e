import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateNetworkKey } from '../agent/swarm/key.ts';
import type { Digest } from '../protocol/digest.ts';
import { generatedContent } from '../test/support/content.ts';
import { until, writeConfig } from '../test/support/host.ts';
import type { GeneratedImage } from '../test/support/upstream-image.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../test/support/upstream-registry.ts';
import { type Drained, wholly } from './client.ts';
import { type Process, run, runLogged } from './processes.ts';

const REPOSITORY = 'library/bench';
const LOOP_DELAY = new URL('./programs/loop-delay.ts', import.meta.url).href;

/** An agent in a process of its own. */
export interface BenchAgent {
  readonly process: Process;
  /** Where its files are. */
  readonly home: string;
  /** RSS when it was ready. Bytes. */
  readonly readyRss: number;
  /** URL of a blob at its mirror. */
  url(digest: Digest): string;
  /** URL of a manifest there. */
  manifestUrl(digest: Digest): string;
  /** The file in its store that holds a blob. */
  file(digest: Digest): string;
  /** Chunk bytes that it has had by bulk lanes. */
  laneBytes(): Promise<number>;
  stop(): Promise<void>;
}

/** Agents on loopback addresses of their own, with an upstream registry in the bench's process. */
export interface BenchLan {
  readonly upstream: UpstreamRegistry;
  /** A new blob upstream. */
  blob(size: number): Digest;
  /** A new image of one layer upstream. */
  image(size: number): GeneratedImage;
  /**
   * @param n its place: 127.77.0.n; agents from 2 on dial the one at place 1
   * @param watchLoop whether it leaves a loop-delay.json in its home when it ends; see programs/loop-delay.ts
   */
  agent(n: number, init?: { readonly watchLoop: boolean }): Promise<BenchAgent>;
  close(): Promise<void>;
}

interface LanInit {
  readonly withKey: boolean;
  readonly beside?: string;
}

/** @param beside where its agents have their files; by default where the system has its temporary ones */
export async function startLan({ withKey, beside = tmpdir() }: LanInit): Promise<BenchLan> {
  const directory = await mkdtemp(join(beside, 'layerlan-bench-'));
  const upstream = await startUpstreamRegistry();
  const networkKeyFile = join(directory, 'key');
  if (withKey) await writeFile(networkKeyFile, generateNetworkKey(), { mode: 0o600 });
  const agents: BenchAgent[] = [];
  let blobs = 0;
  return {
    upstream,
    blob: (size) => upstream.addBlob(REPOSITORY, generatedContent(`bench ${blobs++} ${Date.now()}`, size)).digest,
    image: (size) => upstream.addImage(REPOSITORY, { layers: [size], seed: `bench ${blobs++} ${Date.now()}` }),
    async agent(n, { watchLoop } = { watchLoop: false }) {
      const home = await mkdtemp(join(directory, `${n}-`));
      const address = `127.77.0.${n}`;
      const file = await writeConfig(home, {
        address,
        upstream: upstream.url,
        ...(withKey && { networkKeyFile }),
        config: {
          mirror: { listen: `${address}:5055` },
          peers: { listen: [`/ip4/${address}/tcp/4055`], static: n === 1 ? [] : ['/ip4/127.77.0.1/tcp/4055'] },
        },
      });
      const agent = runLogged(
        join(home, 'log'),
        watchLoop ? { LAYERLAN_BENCH_LOOP_DELAY: join(home, 'loop-delay.json') } : {},
        ...(watchLoop ? ['--import', LOOP_DELAY] : []),
        ...['agent/cli/bin.ts', 'start', '--config', file],
      );
      const status = async () => {
        const response = await fetch(`http://${address}:5055/status`).catch(() => undefined);
        return response?.ok ? ((await response.json()) as { peers: { state: string }[] }) : undefined;
      };
      await until(`agent ${n} ready`, async () => {
        const said = await status();
        return said !== undefined && (n === 1 || said.peers.some((peer) => peer.state === 'connected'));
      });
      const started = {
        process: agent,
        home,
        readyRss: agent.rss(),
        url: (digest: Digest) => `http://${address}:5055/v2/${REPOSITORY}/blobs/${digest}`,
        manifestUrl: (digest: Digest) => `http://${address}:5055/v2/${REPOSITORY}/manifests/${digest}`,
        file: (digest: Digest) => join(home, 'store', 'blobs', ...digest.split(':')),
        laneBytes: async () => {
          const text = await (await fetch(`http://${address}:5055/metrics`)).text();
          return Number(/^layerlan_lane_bytes_total\{direction="received"\} (\S+)$/m.exec(text)?.[1] ?? 0);
        },
        stop: () => agent.stop(),
      };
      agents.push(started);
      return started;
    },
    async close() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await upstream.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Takes a URL in a process of its own. @throws where it is not answered with 200 and every byte */
export async function drain(url: string, size: number): Promise<Drained> {
  const client = run('bench/programs/drain.ts', url);
  try {
    return wholly(url, size, await client.line<Drained>());
  } finally {
    await client.stop();
  }
}
