import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LAB_DIR } from '../../test/lan/place.ts';
import { haveMemory } from '../memory-at-hand.ts';
import { table } from '../table.ts';
import { type FleetAgent, startFleetAgent, untilMeshed } from './agents.ts';
import { tinyImage } from './images.ts';
import type { FleetLab } from './lab.ts';
import { duration, pullAll, readyPullers } from './pullers.ts';
import type { KeyMode } from './report.ts';
import { DEFAULT_UPLINK } from './row.ts';
import { warmUp } from './warm-up.ts';

/** The row's name. */
export const CROWD = 'crowd';
const SIZES = [10, 20, 40];
const BOUND = 1.1;
/** So many agents start at once: more only wait for the cores. */
const STARTING = 4;
const CALM = 3_000;
/** Rate of the uplink before the row begins. Megabits a second. */
const WARMING = 1000;
/** Milliseconds. */
const PATIENCE = 300_000;
/** Whatever an agent calls a count of messages. */
const MESSAGES = /^layerlan_\w*messages\w*_total$/;

export interface CrowdFigures {
  readonly agents: number;
  readonly good: number;
  readonly k: number;
  /** Seconds. */
  readonly t: number;
  /** CPU-seconds of one agent for its pull. */
  readonly cpu: number;
  /** Messages of one agent for its pull, where agents count them. */
  readonly messages: number | undefined;
  /** Packets on the loopback for each agent's pull, those between it and its puller among them. */
  readonly packets: number;
}

/** Many agents on the loopback of one machine, each at an address of its own, cold; the uplink is counted as ever. */
export async function playCrowd(lab: FleetLab, size: number, label: string, key: KeyFile): Promise<CrowdFigures> {
  const [spec] = tinyImage(`${label} ${Date.now()}`);
  const image = await lab.registry.publish(label, spec!);
  await lab.reset({ uplink: DEFAULT_UPLINK });
  const space = lab.crowdHost;
  const log = lab.log(`${label}-pullers`);
  const home = await lab.dir(label);
  const count = lab.uplink.count();
  const [alone] = await pullAll([{ space, mirror: lab.registry.url, tags: [image.tag] }], log, PATIENCE);
  await lab.uplink.quiet();
  const copy = count();
  if (alone?.ok !== true) throw new Error(`the direct pull failed: ${alone?.error}`);
  const agents: FleetAgent[] = [];
  const addresses = Array.from({ length: size }, (_, at) => `127.0.${1 + Math.floor(at / 20)}.${1 + (at % 20)}`);
  try {
    const waiting = [...addresses];
    const start = async () => {
      for (let loopback = waiting.shift(); loopback !== undefined; loopback = waiting.shift()) {
        const [dir, agentLog] = [join(home, loopback), lab.log(`${label}-${loopback}`)];
        const upstream = lab.registry.url;
        agents.push(
          await startFleetAgent({ space, dir, log: agentLog, upstream, others: addresses, loopback, ...key }),
        );
      }
    };
    const starts = await Promise.allSettled(Array.from({ length: STARTING }, start));
    for (const each of starts) if (each.status === 'rejected') throw each.reason;
    await untilMeshed(agents, size - 1);
    await lab.reset({ uplink: WARMING });
    await warmUp(
      lab,
      label,
      (seed) => tinyImage(seed)[0]!,
      [agents.map(({ mirror }) => ({ space, mirror }))],
      log,
      PATIENCE,
    );
    await lab.reset({ uplink: DEFAULT_UPLINK });
    const pullers = await readyPullers(
      agents.map(({ mirror }) => ({ space, mirror, tags: [image.tag] })),
      log,
    );
    await haveMemory(LAB_DIR, size * copy);
    await sleep(CALM);
    const messages = await sumMessages(agents);
    const before = { cpu: sumCpu(agents), packets: loopbackPackets(agents), carried: lab.uplink.count() };
    const results = await Promise.all(pullers.map((puller) => puller.go(PATIENCE)));
    const cpu = sumCpu(agents) - before.cpu;
    const packets = loopbackPackets(agents) - before.packets;
    await lab.uplink.quiet();
    const said = await sumMessages(agents);
    return {
      agents: size,
      good: results.filter(({ ok }) => ok).length,
      k: before.carried() / copy,
      t: duration(results),
      cpu: cpu / size,
      messages: said === undefined || messages === undefined ? undefined : (said - messages) / size,
      packets: packets / size,
    };
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
    await rm(home, { recursive: true, force: true });
  }
}

type KeyFile = { readonly networkKeyFile?: string };

const sumCpu = (agents: readonly FleetAgent[]) => agents.reduce((sum, agent) => sum + agent.cpu(), 0);

async function sumMessages(agents: readonly FleetAgent[]): Promise<number | undefined> {
  let sum: number | undefined;
  for (const agent of agents) {
    const said = await agent.metric(MESSAGES);
    if (said !== undefined) sum = (sum ?? 0) + said;
  }
  return sum;
}

/** Packets that the loopback of the agents' namespace has carried. */
function loopbackPackets([first]: readonly FleetAgent[]): number {
  const line = /^\s*lo:(.*)$/m.exec(readFileSync(`/proc/${first!.pid}/net/dev`, 'utf8'));
  return Number(line?.[1]?.trim().split(/\s+/)[1]);
}

/** The table of what a pull costs each agent as the fleet grows. */
export function crowdTable(results: readonly { readonly mode: KeyMode; readonly figures: CrowdFigures }[]): string {
  const rows = results.map(({ mode, figures }) => [
    String(figures.agents),
    mode === 'with' ? 'yes' : 'no',
    `${figures.good}/${figures.agents}`,
    figures.k.toFixed(3),
    Number.isFinite(figures.t) ? figures.t.toFixed(2) : 'never',
    figures.cpu.toFixed(3),
    figures.messages?.toFixed(0) ?? 'not counted',
    figures.packets.toFixed(0),
    figures.agents === SIZES.at(-1) ? `all succeed, k ≤ ${BOUND}` : '',
    figures.k <= BOUND && figures.good === figures.agents ? 'yes' : 'NO',
  ]);
  const head = [
    'agents on loopback',
    'key',
    'pulls',
    'k',
    'T, s',
    'CPU-s an agent',
    'messages an agent',
    'packets an agent',
  ];
  return table([...head, 'must', 'reached'], rows);
}

/** How many agents, in turn. */
export const CROWD_SIZES: readonly number[] = SIZES;
