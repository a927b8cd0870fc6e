import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../test/lan/commands.ts';
import { BURST, createNetwork, type Network, type Space } from '../../test/lan/network.ts';
import { LAB_DIR } from '../../test/lan/place.ts';
import { recordProcess } from '../../test/lan/process.ts';
import { heal } from './partition.ts';
import { type FleetRegistry, startFleetRegistry } from './registry.ts';
import { createUplink, type Uplink } from './uplink.ts';

/** Rate of a host's link, both directions. Megabits a second. */
export const LAN_RATE = 1000;

/** Hosts of the LAN, and one that appears late. */
const HOSTS = 9;
const CACHE_NUMBER = 20;
const LOOPBACK_NUMBER = 30;

/** The LAN that every row is played on. */
export interface FleetLab {
  readonly network: Network;
  readonly registry: FleetRegistry;
  readonly uplink: Uplink;
  /** The first eight are the fleet, the ninth comes late. */
  readonly hosts: readonly Space[];
  /** Where the pull-through cache lives. */
  readonly cacheHost: Space;
  /** The machine that carries many agents on its loopback. */
  readonly crowdHost: Space;
  /** A new directory. */
  dir(name: string): Promise<string>;
  /** Where what programs say is kept while the bench runs. */
  log(name: string): string;
  /** Every link as it is to be, the LAN in one piece, upstream well. Rates in megabits a second. */
  reset(init: { readonly uplink: number; readonly links?: ReadonlyMap<number, number> }): Promise<void>;
  /** How the links are made, for the table's head. */
  describe(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

export async function openLab(): Promise<FleetLab> {
  await mkdir(join(LAB_DIR, 'logs'), { recursive: true });
  recordProcess(process.pid);
  const network = await createNetwork();
  try {
    const hosts: Space[] = [];
    for (let number = 1; number <= HOSTS; number++) hosts.push(await network.addHost(number));
    const cacheHost = await network.addHost(CACHE_NUMBER);
    const crowdHost = await network.addHost(LOOPBACK_NUMBER);
    const all = [...hosts, cacheHost, crowdHost];
    for (const space of [...all, network.upstream]) await settle(space);
    for (const space of [cacheHost, crowdHost]) await space.shape(LAN_RATE);
    const log = (name: string) => join(LAB_DIR, 'logs', `${name}.log`);
    const registry = await startFleetRegistry(network.upstream, log('registry'));
    const uplink = await createUplink(network, all);
    let dirs = 0;
    return {
      network,
      registry,
      uplink,
      hosts,
      cacheHost,
      crowdHost,
      dir: async (name) => {
        const path = join(LAB_DIR, `${dirs++}-${name}`);
        await mkdir(path, { recursive: true });
        return path;
      },
      log,
      reset: async (init) => {
        await heal(network);
        await registry.misbehave([]);
        await network.upstream.shape(init.uplink);
        for (const [index, host] of hosts.entries()) await host.shape(init.links?.get(index) ?? LAN_RATE);
      },
      describe: async () => {
        const [link] = JSON.parse(await must(['ip', '-n', network.upstream.name, '-j', 'link', 'show', 'eth0']));
        const control = await must([...hosts[0]!.enter, 'sysctl', '-n', 'net.ipv4.tcp_congestion_control']);
        return { 'tbf burst': BURST, MTU: String(link.mtu), 'congestion control': control.trim() };
      },
      close: async () => {
        await registry.close();
        await network.close();
        await rm(LAB_DIR, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await network.close();
    throw error;
  }
}

/** A connection is not to profit from what the one before learned of the path. */
async function settle(space: Space): Promise<void> {
  await must([...space.enter, 'sysctl', '-qw', 'net.ipv4.tcp_no_metrics_save=1']);
}
