import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Digest } from '../../protocol/digest.ts';
import { LAB_DIR } from '../../test/lan/place.ts';
import { haveMemory } from '../memory-at-hand.ts';
import { type FleetAgent, identityFile, startFleetAgent, untilKnown, untilMeshed } from './agents.ts';
import { countFalseBlobs, countShutOut, type HostileHost, startHostile, writeLayers } from './hostile.ts';
import { makeCoordinator } from './identity.ts';
import { warmUpImage } from './images.ts';
import type { FleetLab } from './lab.ts';
import { duration, type Puller, type PullResult, pullAll, readyPullers } from './pullers.ts';
import { largestLayer, type Published } from './registry.ts';
import { DEFAULT_HOSTS, DEFAULT_PATIENCE, DEFAULT_UPLINK, type Figures, type Row, type Yardsticks } from './row.ts';
import { type Stage, watchFlight } from './stage.ts';
import { warmUp } from './warm-up.ts';

const GIB = 1024 ** 3;
/** Rate of the uplink while holders get what they are to hold. Megabits a second. */
const PREPARING = 1000;
/** Between the last preparation and the start, for what still stirs. Milliseconds. */
const CALM = 1_000;

export interface AttemptInit {
  readonly row: Row;
  readonly images: readonly Published[];
  readonly yardsticks: Yardsticks;
  readonly networkKeyFile?: string;
  /** For logs. */
  readonly label: string;
}

/**
 * One attempt at a row with agents whose stores are empty.
 * @throws MissedWindowError where the fault came outside mid-flight
 */
export async function attemptRow(lab: FleetLab, init: AttemptInit): Promise<Figures> {
  const { row, images, yardsticks, label } = init;
  const key = init.networkKeyFile === undefined ? {} : { networkKeyFile: init.networkKeyFile };
  const hostileCount = row.hostile?.length ?? 0;
  const honest = (row.hosts ?? DEFAULT_HOSTS) - hostileCount;
  const slowest = honest - 1;
  const links = new Map(row.slowLink === undefined ? [] : [[slowest, row.slowLink]]);
  const patience = (row.patience ?? DEFAULT_PATIENCE) * 1000;
  const home = await lab.dir(label);
  const agents: FleetAgent[] = [];
  const hostile: HostileHost[] = [];
  const pullers: Puller[] = [];
  const addresses = lab.hosts.slice(0, honest).map(({ address }) => address);

  const startAgent = async (host: number) => {
    const space = lab.hosts[host]!;
    const agent = await startFleetAgent({
      space,
      dir: join(home, `h${host}`),
      log: lab.log(`${label}-h${host}`),
      upstream: lab.registry.url,
      others: addresses,
      ...key,
      ...(row.lanes !== undefined && { lanes: row.lanes }),
    });
    agents[host] = agent;
    return agent;
  };
  const orderFor = (host: number) => ({
    space: lab.hosts[host]!,
    mirror: agents[host]!.mirror,
    tags: [images[row.wants?.(host) ?? 0]!.tag],
  });

  try {
    await lab.reset({ uplink: PREPARING, links });
    const starts = await Promise.allSettled(addresses.map((_, host) => startAgent(host)));
    // Only now: one that was still starting would outlive the attempt.
    for (const each of starts) if (each.status === 'rejected') throw each.reason;
    await untilMeshed(agents, honest - 1);
    const warm = addresses.map((_, host) => host).filter((host) => links.get(host) === undefined);
    const holders = Array.from({ length: row.holders ?? 0 }, (_, host) => host);
    const turns = [holders, warm.slice(holders.length)].filter((hosts) => hosts.length > 0);
    const orders = turns.map((hosts) => hosts.map(orderFor));
    await warmUp(lab, label, warmUpImage, orders, lab.log(`${label}-pullers`), patience);
    if (holders.length > 0) {
      const held = await pullAll(holders.map(orderFor), lab.log(`${label}-pullers`), patience);
      if (held.some(({ ok }) => !ok)) throw new Error(`a holder could not pull: ${held.map(({ error }) => error)}`);
      const takers = agents.slice(holders.length);
      await untilKnown(takers, holders.length, images[0]!.layers.length + 1);
    }
    if (row.hostile !== undefined) {
      const files = await writeLayers(images[0]!, home);
      for (const [at, behaviour] of row.hostile.entries()) {
        const among = [...agents.map(({ peerId }) => peerId), ...hostile.flatMap(({ peerIds }) => peerIds)];
        const leads = row.hostileCoordinates ? { leads: { digest: largestLayer(images[0]!), among } } : {};
        const space = lab.hosts[honest + at]!;
        const log = lab.log(`${label}-hostile${at}`);
        hostile.push(await startHostile({ space, behaviour, dial: addresses, files, log, ...key, ...leads }));
      }
    }
    await lab.reset({ uplink: row.uplink ?? DEFAULT_UPLINK, links });
    await lab.registry.misbehave(row.upstream ?? []);
    const takers = addresses.map((_, host) => host).slice(holders.length);
    pullers.push(...(await readyPullers(takers.map(orderFor), lab.log(`${label}-pullers`))));
    await haveMemory(LAB_DIR, takers.length * yardsticks.size);
    await sleep(CALM);

    const before = agents.map((agent) => agent.cpu());
    const hadBefore = await lab.uplink.byHost();
    const count = lab.uplink.count();
    const results = new Map<number, Promise<PullResult>>();
    const forgiven = new Set<number>();
    let running = 0;
    const launch = (host: number, puller: Puller) => {
      running++;
      const ended = puller.go(patience).finally(() => {
        running--;
      });
      results.set(host, ended);
      return ended;
    };
    const launches = takers.map(async (host, at) => {
      const delay = row.delay?.(host) ?? 0;
      if (delay > 0) await sleep(delay);
      await launch(host, pullers[at]!);
    });
    const flight = watchFlight({ carried: () => count() / yardsticks.bytes, isOver: () => running === 0 });
    const stage: Stage = {
      lab,
      agents,
      images,
      carried: flight.carried,
      untilCarried: flight.untilCarried,
      break: flight.break,
      forgive: (host) => void forgiven.add(host),
      startCoordinator: async (host, digest) => {
        const ids = agents.map(({ peerId }) => peerId);
        await makeCoordinator(identityFile(join(home, `h${host}`)), digest as Digest, ids);
        const agent = await startAgent(host);
        before[host] = 0;
        return agent;
      },
      join: async (host) => {
        const [puller] = await readyPullers([orderFor(host)], lab.log(`${label}-pullers`));
        pullers.push(puller!);
        void launch(host, puller!);
      },
    };
    // A missed window ends the attempt at once: what would follow does not count.
    if (row.fault !== undefined) await row.fault(stage);
    await Promise.all(launches);
    const ended = new Map<number, PullResult>();
    for (const [host, result] of results) ended.set(host, await result);
    await lab.uplink.quiet();

    const carried = count();
    const had = await lab.uplink.byHost();
    const counted = [...ended].filter(([host]) => !forgiven.has(host));
    const all = counted.map(([, result]) => result);
    const timed = counted
      .filter(([host]) => row.slowLink === undefined || host !== slowest)
      .map(([, result]) => result);
    const delivered = [...ended.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    const cpu = agents.map((agent, host) => agent.cpu() - (before[host] ?? 0));
    const t = duration(timed);
    const seen = flight.seen();
    const falseBlobs = await Promise.all(agents.map(countFalseBlobs));
    return {
      pulls: all.length,
      good: all.filter(({ ok }) => ok).length,
      errors: all.flatMap(({ error }) => error ?? []),
      k: carried / yardsticks.bytes,
      t,
      ratio: t / yardsticks.t1,
      firstLater: Math.max(...timed.map(({ firstByteMs }) => firstByteMs)) - yardsticks.firstByteMs,
      cpuPerGib: cpu.reduce((sum, each) => sum + each, 0) / (delivered / GIB),
      cpu,
      rss: Math.max(...agents.map((agent) => agent.peak())),
      resumed: all.reduce((sum, { resumed }) => sum + resumed, 0),
      ...(seen && { fault: seen }),
      fromUpstream: agents.map(({ address }) => (had.get(address) ?? 0) - (hadBefore.get(address) ?? 0)),
      falseBlobs: falseBlobs.reduce((sum, wrong) => sum + wrong, 0),
      ...(hostileCount > 0 && (await harmDone(agents, hostile))),
    };
  } finally {
    await Promise.all(pullers.map((puller) => puller.end()));
    await Promise.all(hostile.map((host) => host.end()));
    await Promise.all(agents.map((agent) => agent.stop()));
    await rm(home, { recursive: true, force: true });
  }
}

async function harmDone(honest: readonly FleetAgent[], hostile: readonly HostileHost[]) {
  const asked = await Promise.all(hostile.map((host) => host.asked()));
  const sumOf = (by: Readonly<Record<string, number>>) => Object.values(by).reduce((sum, count) => sum + count, 0);
  return {
    liarsAsked: asked.map((of) => Object.values(of).reduce((sum, by) => sum + sumOf(by), 0)),
    shutOut: await countShutOut(honest, Object.assign({}, ...asked)),
  };
}
