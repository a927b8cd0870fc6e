import type { Host, Lie } from './host.ts';
import { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import type { World } from './world.ts';

const MiB = 1024 * 1024;

/** What goes wrong in a scenario. */
export const KINDS = [
  'nothing',
  'kill',
  'pause',
  'heal',
  'split',
  'late',
  'slow',
  'cap',
  'rangeless',
  'denied',
  'liars',
] as const;
export type Kind = (typeof KINDS)[number];

const LIES: readonly Lie[] = [
  'boasts',
  'lacks',
  'corrupts',
  'refuses',
  'grants',
  'names',
  'stalls',
  'drips',
  'inflates',
  'renews',
  'hoards',
];

/** A small LAN, drawn by its seed, and what goes wrong in it. */
export function draw(seed: number): { readonly kind: Kind; readonly scenario: Scenario } {
  const random = new Random(seed);
  const kind = KINDS[seed % KINDS.length] as Kind;
  const count = random.whole(kind === 'liars' || kind === 'slow' ? 3 : 2, 12);
  const layers = Array.from({ length: random.whole(1, 4) }, () => Math.ceil(random.between(0.01, 14) * MiB));
  const rate = random.pick([10, 30, 100]) * 1_000_000;
  const size = layers.reduce((sum, each) => sum + each, 0);
  const least = (size * 8_000) / rate;
  const spread = random.pick([0, 0, least / 2, least * 2]);
  const during = () => random.between(0.05, 0.95) * (least + spread);
  const hosts: Scenario['hosts'][number][] = Array.from({ length: count }, () => ({
    starts: random.between(0, spread),
  }));
  const victims = shuffled(random, count).slice(0, random.whole(1, Math.max(1, Math.floor(count / 3))));
  const faults: ((world: World) => void)[] = [];
  const at = (host: number, does: (world: World, host: Host) => void) => {
    const when = during();
    faults.push((world) => world.agenda.at(when, () => does(world, world.hosts[host] as Host)));
  };
  let uplink: Scenario['uplink'] = { rate, rtt: random.pick([2, 20, 60]) };
  switch (kind) {
    case 'nothing':
      break;
    case 'kill':
      for (const victim of victims) {
        const isSeen = random.chance(0.5);
        at(victim, (world, host) => world.kill(host, isSeen));
      }
      break;
    case 'pause':
      for (const victim of victims) {
        for (let times = random.whole(1, 10); times > 0; times--) {
          const ms = random.between(100, 1_500);
          at(victim, (world, host) => world.pause(host, ms));
        }
      }
      break;
    case 'heal':
    case 'split': {
      const ms = kind === 'heal' ? random.between(500, 8_000) : Number.POSITIVE_INFINITY;
      at(0, (world) => world.split((host) => Number(victims.includes(world.hosts.indexOf(host))), ms));
      break;
    }
    case 'late':
      for (const victim of victims) {
        const when = during();
        hosts[victim] = { arrives: when, starts: when + random.between(0, 200) };
      }
      break;
    case 'slow':
      for (const victim of victims) hosts[victim] = { ...hosts[victim], link: random.pick([5, 10, 20]) * 1_000_000 };
      break;
    case 'cap':
      uplink = { ...uplink, perConnection: rate / random.whole(2, 8) };
      break;
    case 'rangeless':
      uplink = { ...uplink, hasRanges: false };
      break;
    case 'denied': {
      const names = victims.map((victim) => `host-${victim}`);
      uplink = { ...uplink, fails: ({ name }) => names.includes(name) };
      break;
    }
    case 'liars':
      for (const victim of victims) hosts[victim] = { ...hosts[victim], lie: random.pick(LIES) };
      break;
  }
  const scenario: Scenario = {
    layers,
    hosts,
    uplink,
    faults: (world) => {
      for (const fault of faults) fault(world);
    },
    limit: 10 * least + spread + 120_000,
    after: 60_000,
  };
  return { kind, scenario };
}

function shuffled(random: Random, count: number): number[] {
  const numbers = Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = random.whole(0, at);
    [numbers[at], numbers[other]] = [numbers[other] as number, numbers[at] as number];
  }
  return numbers;
}
