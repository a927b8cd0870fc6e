import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { addressText, homeAddress } from '../address.ts';
import type { Config } from '../config/load.ts';
import { AgentError } from '../errors.ts';

/** Thousands of peers fit; whatever else may listen on that port must not fill the memory. Bytes. */
const MAX_SIZE = 16 * 1024 * 1024;

/** What came from where the agent should be. */
export interface Asked {
  /** `host:port` */
  readonly address: string;
  readonly status: number;
  readonly text: string;
}

/**
 * Asks whatever listens where the agent with this configuration does.
 * @param path with its query
 * @param timeout milliseconds for all of the answer
 * @throws AgentError AGENT_NOT_RUNNING where nothing answers
 */
export async function ask(config: Config, method: 'GET' | 'POST', path: string, timeout: number): Promise<Asked> {
  const address = addressText(homeAddress(config.mirror.listen));
  try {
    return { address, ...(await exchange(`http://${address}${path}`, method, timeout)) };
  } catch (error) {
    const reason = reasonOf(error, timeout);
    throw new AgentError('AGENT_NOT_RUNNING', `no agent answers at ${address}: ${reason}`, { cause: error });
  }
}

/** What the JSON in `text` says; undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** node:http and not fetch, which refuses to talk to ports such as 6000, and may ask a proxy. */
async function exchange(url: string, method: string, timeout: number): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.timeout(timeout);
  const request = httpRequest(url, { method, signal, agent: false });
  // Where it is given up below, what it still does is of no interest.
  request.on('error', () => {});
  request.end();
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > MAX_SIZE) throw new Error('it says too much');
      pieces.push(piece);
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') };
  } finally {
    request.destroy();
  }
}

function reasonOf(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `nothing in ${timeout / 1000} s`;
  if ('code' in error && error.code === 'ECONNREFUSED') return 'connection refused';
  return error.message;
}
