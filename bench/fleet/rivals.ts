import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { attempt } from '../../test/lan/commands.ts';
import type { Space } from '../../test/lan/network.ts';
import { LAB_DIR } from '../../test/lan/place.ts';
import { startProcess } from '../../test/lan/process.ts';
import { until } from '../../test/lan/until.ts';
import { haveMemory } from '../memory-at-hand.ts';
import { type Cost, watchCost } from './cost.ts';
import type { FleetLab } from './lab.ts';
import { duration, type PullOrder, type PullResult, pullAll } from './pullers.ts';
import { distinctBytes, type Published } from './registry.ts';
import { DEFAULT_HOSTS, DEFAULT_UPLINK, type Row } from './row.ts';
import { startTalker } from './talker.ts';

const STREAM = fileURLToPath(new URL('../programs/tcp-stream.ts', import.meta.url));
const STREAM_PORT = 7000;
const CACHE_PORT = 5000;
/** Eight copies over the uplink, with headroom. Milliseconds. */
const PATIENCE = 600_000;

export interface Measured {
  readonly results: readonly PullResult[];
  /** Bytes that the uplink carried. */
  readonly carried: number;
  /** Seconds; infinite where a pull did not end well. */
  readonly t: number;
}

/** One host straight to upstream, with every image that the row's hosts want: what one copy is, and how long it takes. */
export async function pullDirect(lab: FleetLab, row: Row, images: readonly Published[]): Promise<Measured> {
  await lab.reset({ uplink: row.uplink ?? DEFAULT_UPLINK });
  const tags = images.map(({ tag }) => tag);
  return measure(lab, images, [{ space: lab.hosts[0]!, mirror: lab.registry.url, tags }]);
}

/** All hosts of a row from one mirror, from the same instant but for the row's delays. */
export async function pullFrom(
  lab: FleetLab,
  row: Row,
  images: readonly Published[],
  mirror: string,
  from = 0,
): Promise<Measured> {
  const hosts = lab.hosts.slice(from, row.hosts ?? DEFAULT_HOSTS);
  const orders = hosts.map((space, at) => ({
    space,
    mirror,
    tags: [images[row.wants?.(from + at) ?? 0]!.tag],
  }));
  return measure(lab, images, orders);
}

/** Runs `act` with Debian's docker-registry as an empty pull-through cache, on a host of its own. */
export async function withCache<T>(lab: FleetLab, act: (mirror: string, cost: Cost) => Promise<T>): Promise<T> {
  const space = lab.cacheHost;
  const dir = await lab.dir('cache');
  const configuration = join(dir, 'cache.yml');
  // JSON is YAML.
  await writeFile(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(dir, 'store') } },
      http: { addr: `:${CACHE_PORT}` },
      proxy: { remoteurl: lab.registry.url },
    }),
  );
  const argv = [...space.enter, '/usr/bin/docker-registry', 'serve', configuration];
  const cache = await startProcess({ argv, stdout: lab.log('cache') });
  try {
    const ping = [...space.enter, 'curl', '--silent', '--fail', `http://127.0.0.1:${CACHE_PORT}/v2/`];
    await until('the cache answers', async () => (await attempt(ping)).code === 0, { timeout: 30_000 });
    return await act(`http://${space.address}:${CACHE_PORT}`, watchCost(cache));
  } finally {
    await cache.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** What one plain TCP stream reaches between two hosts. Bytes a second. */
export async function plainStream(lab: FleetLab, from: Space, to: Space, bytes: number): Promise<number> {
  const command = (space: Space, role: string, ...more: string[]) => [
    ...space.enter,
    ...[process.execPath, STREAM, role, from.address, String(STREAM_PORT)],
    ...more,
  ];
  const sender = startTalker(command(from, 'send', String(bytes)), log(lab));
  try {
    await sender.hear();
    const receiver = startTalker(command(to, 'receive'), log(lab));
    try {
      const { bytes: got, ms } = await receiver.hear<{ bytes: number; ms: number }>();
      if (got !== bytes) throw new Error(`a plain stream brought ${got} of ${bytes} bytes`);
      return got / (ms / 1000);
    } finally {
      await receiver.end();
    }
  } finally {
    await sender.end();
  }
}

async function measure(lab: FleetLab, images: readonly Published[], orders: readonly PullOrder[]): Promise<Measured> {
  // As agents have it.
  await haveMemory(LAB_DIR, orders.length * distinctBytes(images.slice(0, 1)));
  const count = lab.uplink.count();
  const results = await pullAll(orders, log(lab), PATIENCE);
  await lab.uplink.quiet();
  return { results, carried: count(), t: duration(results) };
}

const log = (lab: FleetLab) => lab.log('rivals');
