import { hash } from 'node:crypto';
import type { Digest } from '../../../protocol/digest.ts';
import { rendezvousOrder } from '../../../protocol/rendezvous.ts';
import type { Host, HostInit } from './host.ts';
import type { UplinkInit } from './uplink.ts';
import { World } from './world.ts';

/** Layers an engine takes at a time. */
const AT_A_TIME = 3;

export interface Scenario {
  /** Sizes of the image's layers, bytes. */
  readonly layers: readonly number[];
  /** Names are given where there are none. */
  readonly hosts: readonly (Partial<HostInit> & {
    /** When its pull starts. ms @default 0 */
    readonly starts?: number;
    /** When it is there. ms @default before all */
    readonly arrives?: number;
  })[];
  readonly uplink: UplinkInit & { readonly hasRanges?: boolean; readonly fails?: (host: Host) => boolean };
  /** Number of the host that coordinates the first layer. @default as it falls */
  readonly coordinator?: number;
  /** What goes wrong: sets it into the agenda. */
  readonly faults?: (world: World, digests: readonly Digest[]) => void;
  /** When it is over at the latest. ms @default 3600000 */
  readonly limit?: number;
  /** Where a line on each thing of note goes. */
  readonly trace?: (line: string) => void;
  /** How much longer the LAN is looked at when all have what they want. ms @default 0 */
  readonly after?: number;
}

export interface Outcome {
  /** Copies that crossed the uplink. */
  readonly k: number;
  /** ms until the last honest living host was done; Infinity where one never was. */
  readonly time: number;
  /** The same by host, in order; for one that is dead or hostile undefined. */
  readonly times: readonly (number | undefined)[];
  /** ms that it must take at least, whatever the rules. */
  readonly least: number;
  /** Messages an agent sent and received a second, while the pulls lasted. */
  readonly messages: { readonly mean: number; readonly max: number };
  /** Hosts that gave up a pull. */
  readonly stuck: readonly string[];
  readonly world: World;
}

export function simulate(scenario: Scenario): Outcome {
  const world = new World(scenario.uplink);
  const { trace } = scenario;
  if (trace !== undefined) world.trace = (line) => trace(`${world.agenda.now.toFixed(0)} ${line}`);
  const hosts = scenario.hosts.map((init, at) => world.add({ ...init, name: init.name ?? `host-${at}` }));
  const blobs = scenario.layers.map((size, at) => ({ digest: digestOf(at, hosts, scenario.coordinator), size }));
  const { agenda } = world;
  hosts.forEach((host, at) => {
    const { arrives = 0, starts = 0 } = scenario.hosts[at] ?? {};
    if (arrives === 0) world.arrive(host);
    else agenda.at(arrives, () => world.arrive(host));
    const queue = [...blobs];
    const next = () => {
      const blob = queue.shift();
      if (blob !== undefined) world.join(host, blob, next);
    };
    host.run(Math.max(starts, arrives), () => {
      for (let lane = 0; lane < AT_A_TIME; lane++) next();
    });
  });
  scenario.faults?.(
    world,
    blobs.map(({ digest }) => digest),
  );
  const doneAt = (host: Host) =>
    host.holds.size === blobs.length
      ? Math.max(...[...host.holds.values()].map((hold) => hold.doneAt ?? Number.POSITIVE_INFINITY))
      : Number.POSITIVE_INFINITY;
  const matters = (host: Host, at: number) =>
    host.lie === undefined && (host.isAlive || agenda.now < (scenario.hosts[at]?.arrives ?? 0));
  let unchecked = 0;
  const isDone = () => {
    // Not at each event: a look at all costs more than most of them.
    if (unchecked++ % 64 !== 0) return false;
    return hosts.every((host, at) => !matters(host, at) || doneAt(host) < Number.POSITIVE_INFINITY);
  };
  world.run(scenario.limit ?? 3_600_000, isDone);
  const seconds = agenda.now / 1_000;
  const messages = hosts.map(({ sent, received }) => (sent + received) / seconds);
  const times = hosts.map((host, at) =>
    matters(host, at) ? doneAt(host) - (scenario.hosts[at]?.starts ?? 0) : undefined,
  );
  const ends = hosts.map((host, at) => (matters(host, at) ? doneAt(host) : 0));
  const size = scenario.layers.reduce((sum, each) => sum + each, 0);
  if (scenario.after !== undefined) world.run(agenda.now + scenario.after);
  return {
    k: world.uplink.carried / size,
    time: Math.max(...ends),
    times,
    least: leastTime(scenario, hosts, size),
    messages: { mean: messages.reduce((sum, each) => sum + each, 0) / hosts.length, max: Math.max(...messages) },
    stuck: hosts
      .filter((host, at) => matters(host, at) && [...host.holds.values()].some(({ isStuck }) => isStuck))
      .map(({ name }) => name),
    world,
  };
}

/** The uplink's time, or the last host's own, whichever is longer. */
function leastTime({ hosts, uplink }: Scenario, all: readonly Host[], size: number): number {
  const last = hosts.map(
    ({ starts = 0, arrives = 0 }, at) => Math.max(starts, arrives) + size / (all[at] as Host).link,
  );
  const first = Math.min(...hosts.map(({ starts = 0, arrives = 0 }) => Math.max(starts, arrives)));
  return Math.max(first + size / (uplink.rate / 8_000), ...last);
}

/** A digest; the first layer's has the wanted coordinator. */
function digestOf(at: number, hosts: readonly Host[], coordinator: number | undefined): Digest {
  for (let salt = 0; ; salt++) {
    const digest = `sha256:${hash('sha256', `layer ${at} ${salt}`)}` as Digest;
    if (at > 0 || coordinator === undefined) return digest;
    const [first] = rendezvousOrder(
      digest,
      hosts.map(({ name }) => name),
    );
    if (first === hosts[coordinator]?.name) return digest;
  }
}
