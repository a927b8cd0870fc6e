import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { addressText, homeAddress } from '../address.ts';
import type { Config } from '../config/load.ts';
import { AgentError } from '../errors.ts';

/** Thousands of peers fit; whatever else may listen on that port must not fill the memory. Bytes. */
const MAX_SIZE = 16 * 1024 * 1024;

/** An image's blobs fit. Characters. */
const MAX_LINE = 1024 * 1024;

/** What came from where the agent should be. */
export interface Asked {
  /** `host:port` */
  readonly address: string;
  readonly status: number;
  readonly text: string;
}

/** The same, where lines come one by one. */
export interface AskedLines {
  /** `host:port` */
  readonly address: string;
  readonly status: number;
  /** Those that are not empty. @throws AgentError AGENT_NOT_RUNNING where they break off */
  readonly lines: AsyncIterable<string>;
}

/**
 * Asks whatever listens where the agent with this configuration does.
 * @param path with its query
 * @param timeout milliseconds for all of the answer
 * @throws AgentError AGENT_NOT_RUNNING where nothing answers
 */
export async function ask(config: Config, method: 'GET' | 'POST', path: string, timeout: number): Promise<Asked> {
  const address = addressOf(config);
  const signal = AbortSignal.timeout(timeout);
  const request = begin(`http://${address}${path}`, method, signal);
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > MAX_SIZE) throw new Error('it says too much');
      pieces.push(piece);
    }
    return { address, status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') };
  } catch (error) {
    throw notRunning(address, error, timeout);
  } finally {
    request.destroy();
  }
}

/**
 * Has the agent do what may take long. The lines must be read to their end, or left.
 * @param path with its query
 * @param silence milliseconds without a byte after which the agent is given up
 * @throws AgentError AGENT_NOT_RUNNING where nothing answers
 */
export async function askLines(config: Config, path: string, silence: number): Promise<AskedLines> {
  const address = addressOf(config);
  const silent = new AbortController();
  const request = begin(`http://${address}${path}`, 'POST', silent.signal);
  let timer: NodeJS.Timeout | undefined;
  const waiting = {
    begin: () => {
      timer = setTimeout(() => silent.abort(new DOMException('silent', 'TimeoutError')), silence);
    },
    end: () => clearTimeout(timer),
  };
  const failed = (error: unknown) => notRunning(address, error, silence);
  waiting.begin();
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { address, status: response.statusCode ?? 0, lines: linesOf(response, waiting, failed) };
  } catch (error) {
    request.destroy();
    throw failed(error);
  } finally {
    waiting.end();
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

/** @param waiting told when the agent is waited for: whoever reads the lines may take as long as he likes */
async function* linesOf(
  response: IncomingMessage,
  waiting: { begin(): void; end(): void },
  failed: (error: unknown) => AgentError,
): AsyncGenerator<string, void> {
  try {
    let rest = '';
    waiting.begin();
    for await (const piece of response.setEncoding('utf8') as AsyncIterable<string>) {
      waiting.end();
      const lines = (rest + piece).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) throw new Error('it says too much in one line');
      for (const line of lines) if (line !== '') yield line;
      waiting.begin();
    }
    if (rest !== '') yield rest;
  } catch (error) {
    throw failed(error);
  } finally {
    waiting.end();
    response.destroy();
  }
}

/** Where the agent with this configuration is reached, as `host:port`. */
export function addressOf(config: Config): string {
  return addressText(homeAddress(config.mirror.listen));
}

/** node:http and not fetch, which refuses to talk to ports such as 6000, and may ask a proxy. */
function begin(url: string, method: string, signal: AbortSignal): ClientRequest {
  const request = httpRequest(url, { method, signal, agent: false });
  // Where it is given up, what it still does is of no interest.
  request.on('error', () => {});
  return request.end();
}

/** @param timeout milliseconds that it was waited for */
export function notRunning(address: string, error: unknown, timeout: number): AgentError {
  const reason = reasonOf(error, timeout);
  return new AgentError('AGENT_NOT_RUNNING', `no agent answers at ${address}: ${reason}`, { cause: error });
}

function reasonOf(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `nothing in ${timeout / 1000} s`;
  if ('code' in error && error.code === 'ECONNREFUSED') return 'connection refused';
  return error.message;
}
