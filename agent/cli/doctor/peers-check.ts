import type { Config } from '../../config/load.ts';
import type { AgentStatus } from '../../observe/status.ts';
import { printable } from '../printable.ts';
import { type Finding, ok, warn } from './finding.ts';

const UNSEEN = 'not seen: no agent answers';
const START = 'start the agent and ask again';

/** Whether neighbours can be found at all. */
export function judgeMdns(status: AgentStatus | undefined): Finding {
  const name = 'mDNS';
  if (status === undefined) return warn(name, UNSEEN, START);
  const { enabled, healthy, reason } = status.swarm.mdns;
  // Where it is off by will, static peers are in its place; whether they are reached is told under peers.
  if (!enabled) return ok(name, 'off (peers.mdns)');
  if (healthy === true) return ok(name, 'on, and its questions go out');
  const why = reason === undefined ? '' : `: ${printable(reason)}`;
  return warn(
    name,
    healthy === undefined ? 'on; whether it works is not known' : `not working${why}`,
    'let udp/5353 to 224.0.0.251 through, see that there is a default route or one for 224.0.0.0/4, or name peers in peers.static',
  );
}

/** Whether there is anybody to share with. */
export function judgePeers(status: AgentStatus | undefined, config: Config): Finding {
  const name = 'peers';
  if (status === undefined) return warn(name, UNSEEN, START);
  const { neighbours, networkKey } = status.swarm;
  const banned = status.peers.filter(({ state }) => state === 'banned').length;
  const bans = banned === 0 ? '' : `, ${banned} shut out for what they sent`;
  if (neighbours > 0) return ok(name, `${neighbours} connected${bans}`);
  const known = status.peers.length - banned;
  const ports = portsText(status.swarm.addresses);
  if (known > 0) {
    const key = networkKey ? ', and that they have the same network key' : ', and that they have no network key either';
    return warn(
      name,
      `${known} known, none connected${bans}`,
      `see that they run, that ${ports} is let through in and out${key}; layerlan peers names them`,
    );
  }
  const mdns = status.swarm.mdns.enabled ? ' and udp/5353 (multicast)' : '';
  const statics = config.peers.static.length === 0 ? '; beyond the broadcast domain, name a peer in peers.static' : '';
  return warn(name, `none known${bans}`, `start agents on other hosts; let ${ports}${mdns} through${statics}`);
}

/** Who may join. A network that is open is a choice, and not a fault. */
export function judgeNetworkKey(status: AgentStatus | undefined, config: Config): Finding {
  const name = 'network key';
  const isSet = status?.swarm.networkKey ?? config.peers.networkKeyFile !== null;
  return ok(name, isSet ? 'set: only who has it can join' : 'none: whoever is on the LAN can join');
}

function portsText(addresses: readonly string[]): string {
  const ports = addresses.flatMap((address) => /\/tcp\/([0-9]+)/.exec(address)?.[1] ?? []);
  return [...new Set(ports.length === 0 ? ['4055'] : ports)].map((port) => `tcp/${port}`).join(', ');
}
