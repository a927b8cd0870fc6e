import type { Config } from '../../config/load.ts';
import type { AgentStatus } from '../../observe/status.ts';
import { printable } from '../printable.ts';
import { type Finding, ok, warn } from './finding.ts';

/** How a lane's state begins where one was to be had and did not open, or broke; see LaneState of the swarm. */
const FAILED = 'failed: ';

/** How it reads where nobody answers at the port: a firewall refuses, or drops without a word. */
const UNREACHABLE = /ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|did not open/;

/**
 * Whether the bodies of chunks come by bulk lanes. By libp2p they come all the same, for more of the processor: what
 * keeps lanes from opening is seen nowhere else.
 */
export function judgeLanes(status: AgentStatus | undefined, config: Config): Finding {
  const name = 'bulk lanes';
  if (config.peers.bulk === null) return ok(name, 'off (peers.bulk)');
  const connected = status?.peers.filter(({ state }) => state === 'connected') ?? [];
  const failed = connected.flatMap(({ bulk }) =>
    bulk?.startsWith(FAILED) === true ? [bulk.slice(FAILED.length)] : [],
  );
  const [reason] = failed.filter((why) => UNREACHABLE.test(why));
  if (reason !== undefined) {
    return warn(
      name,
      `${failed.length} of ${connected.length} connected peers give chunks by libp2p alone, which costs more: ${printable(reason)}`,
      'let the port of peers.bulk (tcp/4056) through to those hosts, or turn lanes off there and here with peers.bulk=null; layerlan peers names them',
    );
  }
  const trouble = status?.swarm.bulk?.reason;
  if (trouble !== undefined) {
    return warn(
      name,
      `none to this host, so that chunks go to peers by libp2p alone, which costs more: ${printable(trouble)}`,
      'give peers.bulk an address and port that are free on this host, the same port on all hosts, or turn lanes off with peers.bulk=null',
    );
  }
  const count = (state: string) => connected.filter(({ bulk }) => bulk === state).length;
  const [open, refused] = [count('open'), count('refused')];
  const said = [
    ...(open > 0 ? [`${open} open`] : []),
    ...(refused > 0 ? [`${refused} of ${connected.length} connected peers have none to give`] : []),
    ...(failed.length > 0 ? [`${failed.length} broke, and will be tried again: ${printable(failed[0] ?? '')}`] : []),
  ];
  return ok(name, said.length === 0 ? 'none open, none needed just now' : said.join('; '));
}
