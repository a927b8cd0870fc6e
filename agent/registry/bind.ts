import { once } from 'node:events';
import type { Server } from 'node:http';
import { type Address, addressText } from '../address.ts';
import { AgentError } from '../errors.ts';

/** Has a server listen; it emits `listening` or `error`. */
export type Listen = (server: Server, address: Address) => void;

export const listenByKernel: Listen = (server, { host, port }) => void server.listen({ host, port });

/** What is told where an address is not this machine's: it may be later, once its interface or its name is there. */
const ABSENT: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'is not an address of this machine',
  ENOTFOUND: 'is not a host name that resolves',
  EAI_AGAIN: 'is not a host name that resolves now',
};

/** What waiting does not mend. */
const UNUSABLE: Readonly<Record<string, string>> = {
  EACCES: 'needs more rights to listen on',
  EAFNOSUPPORT: 'is of a kind that this machine does not have',
};

/** Resolves once `server` listens at `address`. @throws AgentError ADDRESS_IN_USE, ADDRESS_UNUSABLE */
export async function bind(server: Server, address: Address, listen: Listen): Promise<void> {
  const listening = once(server, 'listening');
  listen(server, address);
  try {
    await listening;
  } catch (error) {
    throw bindError(error, addressText(address));
  }
}

/** Whether an address could not be had because it is not there. */
export function isAbsent(error: unknown): error is AgentError {
  return error instanceof AgentError && codeOf(error.cause) in ABSENT;
}

function bindError(error: unknown, address: string): unknown {
  const code = codeOf(error);
  if (code === 'EADDRINUSE') {
    return new AgentError('ADDRESS_IN_USE', `${address} is in use by another process.`, { cause: error });
  }
  const why = ABSENT[code] ?? UNUSABLE[code];
  if (why === undefined) return error;
  return new AgentError('ADDRESS_UNUSABLE', `${address} ${why}.`, { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
