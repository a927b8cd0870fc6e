import { type Address, addressText, homeAddress } from '../../address.ts';
import type { Config } from '../../config/load.ts';
import type { AgentStatus } from '../../observe/status.ts';
import { printable } from '../printable.ts';
import { spanText } from '../units.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import type { Process, Processes } from './processes.ts';
import { socketAt } from './socket-table.ts';

const NAME = 'agent';

/** Who listens where something is to listen. */
export type Listener = { readonly process: Process | undefined } | 'nobody' | 'unseen';

export function listenerAt({ host, port }: Address, processes: Processes): Listener {
  const sockets = processes.listening();
  if (sockets === undefined) return 'unseen';
  const socket = socketAt(sockets, host, port);
  return socket === undefined ? 'nobody' : { process: processes.ownerOf(socket) };
}

/** What was found where the agent should be. */
export interface AgentLook {
  /** Where it should answer, as `host:port`. */
  readonly address: string;
  /** What it says of itself; else why it does not. */
  readonly answer: AgentStatus | Error;
  readonly listener: Listener;
}

export function judgeAgent({ address, answer, listener }: AgentLook): Finding {
  if (!(answer instanceof Error)) {
    return ok(NAME, `answers at ${address}: ${printable(answer.version)}, up ${spanText(answer.uptimeSeconds)}`);
  }
  const why = printable(answer.message);
  if (listener === 'nobody') return fail(NAME, why, 'start it: layerlan start');
  if (listener === 'unseen') return fail(NAME, why, 'start it (layerlan start), or see what else listens there');
  return fail(
    NAME,
    `${why}; ${ownerText(listener.process)} listens at ${address}`,
    'end that process, or give the agent another mirror.listen and run layerlan setup again for its clients',
  );
}

/** The port on which peers reach the agent, while it does not run: another process may be what keeps it from starting. */
export function judgePeerPort(address: string, listener: Listener): Finding | undefined {
  if (listener === 'nobody' || listener === 'unseen') return undefined;
  return warn(
    'peer port',
    `${ownerText(listener.process)} listens at ${address}, where peers are to reach the agent`,
    'end that process, or give the agent another peers.listen',
  );
}

function ownerText(process: Process | undefined): string {
  // Without the right to look into other users' processes.
  return process === undefined ? 'another user’s process' : `${printable(process.name)} (pid ${process.pid})`;
}

/** Where clients of this host reach the mirror. */
export function mirrorAddress(config: Config): Address {
  return homeAddress(config.mirror.listen);
}

/** What a multiaddr of `peers.listen` is as an address; undefined where it is a name, or any port will do. */
export function peerAddress(multiaddr: string): Address | undefined {
  const [, host, port] = /^\/ip[46]\/([^/]+)\/tcp\/([0-9]+)$/.exec(multiaddr) ?? [];
  return host === undefined || Number(port) === 0 ? undefined : { host, port: Number(port) };
}

export function lookAtPeerPorts(config: Config, processes: Processes): Finding[] {
  return config.peers.listen.flatMap((multiaddr) => {
    const address = peerAddress(multiaddr);
    if (address === undefined) return [];
    return judgePeerPort(addressText(address), listenerAt(address, processes)) ?? [];
  });
}
