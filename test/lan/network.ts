import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, must } from './commands.ts';
import { type Counters, interfaceCounters } from './counters.ts';
import { LAB_DIR, PREFIX } from './place.ts';
import { type Process, startProcess } from './process.ts';
import { until } from './until.ts';

/** The namespace that holds the bridge and everybody's other end; it also routes between the LAN and upstream. */
const SWITCH = `${PREFIX}switch`;
const LAN = '10.77.0';
const WAN = '10.78.0';

/** Where the upstream registry listens. */
export const UPSTREAM_ADDRESS = `${WAN}.2`;

/** What tbf lets through at once. At 1 Gbit it is a millisecond's worth; below a GSO packet (64 KiB) tbf would cut each up. */
export const BURST = '128k';
/** How long a packet may wait in tbf before it is dropped. */
const LATENCY = '100ms';

/** A network namespace with one interface, eth0, and the cable that leads from it. */
export interface Space {
  readonly name: string;
  readonly address: string;
  /** Name of its cable's other end, in the switch. */
  readonly port: string;
  /** Prefix of a command that is to run inside. */
  readonly enter: readonly string[];
  /** What has gone over its eth0, as it sees it. */
  readonly counters: Counters;
  /** Bounds both directions. Megabits a second. */
  shape(rate: number): Promise<void>;
  /** The cable is pulled out: no carrier. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
}

export interface Network {
  /** Host `number` of the LAN, at 10.77.0.(10 + number). */
  addHost(number: number): Promise<Space>;
  readonly upstream: Space;
  /** Name of the namespace that switches between hosts, and routes between them and upstream. */
  readonly router: string;
  /** Packets between the LAN and upstream vanish without a word, as behind a broken provider. */
  blackholeUplink(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A switch with mDNS passing through it, and upstream one router away: what its interface counts has crossed the
 * uplink, and multicast does not.
 */
export async function createNetwork(): Promise<Network> {
  await mkdir(join(LAB_DIR, 'etc'), { recursive: true });
  // Nothing answers there, so that a name is refused at once: no dockerd may wait for Docker Hub.
  await writeFile(join(LAB_DIR, 'etc/resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  await writeFile(join(LAB_DIR, 'etc/hosts'), '127.0.0.1 localhost\n');
  const holders: Process[] = [];
  const names: string[] = [];

  const addNamespace = async (name: string) => {
    await must(['ip', 'netns', 'add', name]);
    names.push(name);
    await must(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
  };

  const addSpace = async (short: string, address: string, gateway: string): Promise<Space> => {
    const name = `${PREFIX}${short}`;
    const port = `to-${short}`;
    await addNamespace(name);
    await must(['ip', '-n', SWITCH, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    if (gateway.startsWith(LAN)) await must(['ip', '-n', SWITCH, 'link', 'set', port, 'master', 'lan']);
    else await must(['ip', '-n', SWITCH, 'address', 'add', `${gateway}/24`, 'dev', port]);
    await must(['ip', '-n', SWITCH, 'link', 'set', port, 'up']);
    await must(['ip', '-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
    await must(['ip', '-n', name, 'link', 'set', 'eth0', 'up']);
    await must(['ip', '-n', name, 'route', 'add', 'default', 'via', gateway]);
    const holder = await holdNamespace(name);
    holders.push(holder);
    const setLink = async (state: 'up' | 'down') => {
      await must(['ip', '-n', SWITCH, 'link', 'set', port, state]);
    };
    return {
      name,
      address,
      port,
      // Not `ip netns exec`: it hides the cgroup mounts, without which dockerd does not start.
      enter: ['nsenter', '--target', String(holder.pid), '--net', '--mount', '--'],
      counters: interfaceCounters(holder.pid, 'eth0'),
      shape: async (rate) => {
        const bucket = ['root', 'tbf', 'rate', `${rate}mbit`, 'burst', BURST, 'latency', LATENCY];
        await must(['tc', '-n', name, 'qdisc', 'replace', 'dev', 'eth0', ...bucket]);
        await must(['tc', '-n', SWITCH, 'qdisc', 'replace', 'dev', port, ...bucket]);
      },
      unplug: () => setLink('down'),
      plug: () => setLink('up'),
    };
  };

  const close = async () => {
    await Promise.all(holders.map((holder) => holder.stop()));
    for (const name of names) await attempt(['ip', 'netns', 'delete', name]);
  };

  try {
    await addNamespace(SWITCH);
    await must([
      'ip',
      '-n',
      SWITCH,
      'link',
      'add',
      'lan',
      'type',
      'bridge',
      'mcast_snooping',
      '0',
      'forward_delay',
      '0',
    ]);
    await must(['ip', '-n', SWITCH, 'address', 'add', `${LAN}.1/24`, 'dev', 'lan']);
    await must(['ip', '-n', SWITCH, 'link', 'set', 'lan', 'up']);
    await must(['ip', 'netns', 'exec', SWITCH, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    const upstream = await addSpace('up', UPSTREAM_ADDRESS, `${WAN}.1`);
    return {
      addHost: (number) => addSpace(`h${number}`, `${LAN}.${10 + number}`, `${LAN}.1`),
      upstream,
      router: SWITCH,
      blackholeUplink: async () => {
        await must(['ip', '-n', SWITCH, 'route', 'add', 'blackhole', `${UPSTREAM_ADDRESS}/32`]);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A process that keeps the namespace, and a mount namespace beside it where names resolve to nothing. */
async function holdNamespace(name: string): Promise<Process> {
  const etc = join(LAB_DIR, 'etc');
  const script = `mount --bind ${etc}/resolv.conf /etc/resolv.conf && mount --bind ${etc}/hosts /etc/hosts && exec sleep infinity`;
  const holder = await startProcess({
    argv: ['nsenter', `--net=/run/netns/${name}`, 'unshare', '--mount', '--propagation=private', 'sh', '-c', script],
    stdout: join(LAB_DIR, 'holders.log'),
  });
  // Before the mounts are there, a command sent inside would see the machine's own resolver.
  await until('the namespace is held', () => commandName(holder.pid) === 'sleep', { timeout: 10_000, every: 5 });
  return holder;
}

function commandName(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}
