import type { FleetLab } from './lab.ts';
import { distinctBytes, type Published } from './registry.ts';
import { plainStream, pullDirect, pullFrom, withCache } from './rivals.ts';
import { DEFAULT_HOSTS, DEFAULT_UPLINK, type Row, type Yardsticks } from './row.ts';

/** Rate of the uplink while the cache is warmed. Megabits a second. */
const WARMING = 1000;
const GIB = 1024 ** 3;

/** What a run's figures are held against, measured just before them. */
export async function measureYardsticks(
  lab: FleetLab,
  row: Row,
  images: readonly Published[],
  withRivals: boolean,
): Promise<Yardsticks> {
  const alone = await pullDirect(lab, row, images);
  const [result] = alone.results;
  if (result?.ok !== true) throw new Error(`the direct pull failed: ${result?.error}`);
  const base = {
    t1: alone.t,
    bytes: alone.carried,
    firstByteMs: result.firstByteMs,
    size: distinctBytes(images.slice(0, 1)),
    ...(row.upstream !== undefined && { t1Faulty: await pullFaulty(lab, row, images) }),
  };
  const k = (carried: number) => carried / alone.carried;
  if (row.rivals === 'stream') {
    const taker = lab.hosts[(row.hosts ?? DEFAULT_HOSTS) - 1]!;
    return { ...base, stream: await plainStream(lab, lab.hosts[0]!, taker, base.size) };
  }
  if (!withRivals || row.rivals === undefined) return base;
  const holders = row.holders ?? 0;
  const cache = await withCache(lab, async (mirror, cost) => {
    if (row.rivals === 'warm') {
      await lab.reset({ uplink: WARMING });
      await pullFrom(lab, { ...row, hosts: holders }, images, mirror);
      await lab.reset({ uplink: row.uplink ?? DEFAULT_UPLINK });
    }
    const before = cost.cpu();
    const measured = await pullFrom(lab, row, images, mirror, holders);
    const bytes = measured.results.reduce((sum, each) => sum + each.bytes, 0);
    return { ...measured, cpuPerGib: (cost.cpu() - before) / (bytes / GIB) };
  });
  const direct = row.rivals === 'cold' ? await pullFrom(lab, row, images, lab.registry.url) : undefined;
  return {
    ...base,
    cache: { k: k(cache.carried), t: cache.t, cpuPerGib: cache.cpuPerGib },
    ...(direct && { direct: { k: k(direct.carried), t: direct.t } }),
  };
}

async function pullFaulty(lab: FleetLab, row: Row, images: readonly Published[]): Promise<number> {
  await lab.registry.misbehave(row.upstream ?? []);
  const { t } = await pullFrom(lab, { ...row, hosts: 1 }, images, lab.registry.url);
  await lab.registry.misbehave([]);
  return t;
}
