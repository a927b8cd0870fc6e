import type { IncomingMessage } from 'node:http';
import { AgentError } from '../errors.ts';
import { COMMANDS_PATH } from './command.ts';
import { refusal } from './guard.ts';
import { parseTarget } from './target.ts';

/**
 * The check of every request as it comes in: host, origin and method. Which repositories it may name, admission.ts says.
 * @param target as it came on the wire
 * @param allowedHosts names the Host header may have, in lower case
 * @throws AgentError REQUEST_INVALID, REQUEST_DENIED, UNSUPPORTED
 */
export function checkRequest(request: IncomingMessage, target: string, allowedHosts: ReadonlySet<string>): void {
  const { headers, method, httpVersion, socket } = request;
  const named = hostsOf(request);
  // Two readers of one request must not see two hosts in it (RFC 9112, 3.2).
  if (named > 1) throw new AgentError('REQUEST_INVALID', 'The request has more than one Host header.');
  if (named === 0 && httpVersion === '1.1') throw new AgentError('REQUEST_INVALID', 'The request has no Host header.');
  const { authority, path } = parseTarget(target);
  const caller = {
    host: authority ?? headers.host,
    origin: headers.origin,
    fetchSite: headers['sec-fetch-site']?.toString(),
    localAddress: socket.localAddress,
  };
  const why = refusal(caller, allowedHosts);
  if (why !== undefined) throw new AgentError('REQUEST_DENIED', why);
  const isCommand = method === 'POST' && path.startsWith(COMMANDS_PATH);
  if (method !== 'GET' && method !== 'HEAD' && !isCommand) {
    throw new AgentError('UNSUPPORTED', `${method} is not for a pull-through mirror.`);
  }
}

/**
 * Whether the connection should end with the answer: what follows is a body, and closing is cheaper than reading a
 * layer that was refused up to its end; or it may be in another protocol, and Node's parser leaves it where it is.
 */
export function isLast({ headers }: IncomingMessage): boolean {
  if (headers.upgrade !== undefined || headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > 0;
}

/** Node keeps the first of several and says nothing. */
function hostsOf({ rawHeaders }: IncomingMessage): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === 4 && rawHeaders[index]?.toLowerCase() === 'host') count += 1;
  }
  return count;
}
