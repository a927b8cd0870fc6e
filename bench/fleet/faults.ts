import { setTimeout as sleep } from 'node:timers/promises';
import { rendezvousOrder } from '../../protocol/rendezvous.ts';
import { heal, partition } from './partition.ts';
import { largestLayer, type Published } from './registry.ts';
import type { FaultFunction } from './row.ts';
import type { Stage } from './stage.ts';

/** Where a fault is aimed at: early enough that what it does is over in mid-flight. Part of one copy. */
const AIM = 0.35;
/** Where one is that lasts for seconds. */
const EARLY_AIM = 0.24;
/** A pause, how many, and what lies between them. Milliseconds; together less than the rest of mid-flight. */
const PAUSE = 400;
const PAUSES = 10;
const BETWEEN_PAUSES = 200;
/** How long the LAN stays in two halves. Milliseconds. */
const SPLIT = 4_000;

/** The host whose agent coordinates the largest layer. */
function coordinatorOf({ agents, images }: Stage): number {
  const [first] = rendezvousOrder(
    largestLayer(images[0] as Published),
    agents.map(({ peerId }) => peerId),
  );
  return agents.findIndex(({ peerId }) => peerId === first);
}

async function kill(stage: Stage, host: number): Promise<void> {
  stage.forgive(host);
  await stage.break(() => stage.agents[host]?.kill());
}

export const killCoordinator: FaultFunction = async (stage) => {
  const host = coordinatorOf(stage);
  await stage.untilCarried(AIM);
  await kill(stage, host);
};

export const pauseCoordinator: FaultFunction = async (stage) => {
  const agent = stage.agents[coordinatorOf(stage)];
  await stage.untilCarried(EARLY_AIM);
  await stage.break(async () => {
    for (let pause = 0; pause < PAUSES; pause++) {
      agent?.pause();
      await sleep(PAUSE);
      agent?.resume();
      if (pause < PAUSES - 1) await sleep(BETWEEN_PAUSES);
    }
  });
};

/** The host that has had the most from upstream since the pulls began, by its own counter at the router. */
export const killBusiest: FaultFunction = async (stage) => {
  const before = await stage.lab.uplink.byHost();
  await stage.untilCarried(AIM);
  const now = await stage.lab.uplink.byHost();
  const had = stage.agents.map(({ address }) => (now.get(address) ?? 0) - (before.get(address) ?? 0));
  await kill(stage, had.indexOf(Math.max(...had)));
};

export const lateCoordinator: FaultFunction = async (stage) => {
  const latecomer = stage.agents.length;
  await stage.untilCarried(EARLY_AIM);
  await stage.break(async () => {
    await stage.startCoordinator(latecomer, largestLayer(stage.images[0] as Published));
    await stage.join(latecomer);
  });
};

const halves = ({ lab, agents }: Stage) => {
  const hosts = lab.hosts.slice(0, agents.length);
  const middle = hosts.length / 2;
  return [hosts.slice(0, middle), hosts.slice(middle)] as const;
};

export const splitForAWhile: FaultFunction = async (stage) => {
  await stage.untilCarried(EARLY_AIM);
  await stage.break(async () => {
    await partition(stage.lab.network, ...halves(stage));
    await sleep(SPLIT);
    await heal(stage.lab.network);
  });
};

export const splitForGood: FaultFunction = async (stage) => {
  await stage.untilCarried(AIM);
  await stage.break(() => partition(stage.lab.network, ...halves(stage)));
};
