import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { addressText, parseAddress, reachable } from '../address.ts';
import type { Config } from '../config/load.ts';
import { AgentError } from '../errors.ts';
import { type AgentStatus, agentStatusSchema } from '../observe/status.ts';

/** Milliseconds until an agent that does not answer counts as not running. */
const TIMEOUT = 3_000;

/** Thousands of peers fit; whatever else may listen on that port must not fill the memory. Bytes. */
const MAX_SIZE = 16 * 1024 * 1024;

/** A running agent's status. */
export interface Answer {
  readonly status: AgentStatus;
  /** As it came: an agent of another version may say more. */
  readonly json: Record<string, unknown>;
}

/** Asks the agent that runs with this configuration. @throws AgentError AGENT_NOT_RUNNING */
export async function queryStatus(config: Config): Promise<Answer> {
  const listen = config.mirror.listen[0]!;
  const address = addressText(reachable(parseAddress(listen)!));
  let text: string;
  try {
    text = await get(`http://${address}/status`);
  } catch (error) {
    throw new AgentError('AGENT_NOT_RUNNING', `no agent answers at ${address}: ${reasonOf(error)}`, { cause: error });
  }
  const json = parse(text);
  const status = agentStatusSchema.safeParse(json);
  if (!status.success) throw new AgentError('AGENT_NOT_RUNNING', `what answers at ${address} is no layerlan agent`);
  return { status: status.data, json: json as Record<string, unknown> };
}

/** node:http and not fetch, which refuses to talk to ports such as 6000, and may ask a proxy. */
async function get(url: string): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT);
  const request = httpGet(url, { signal, agent: false });
  // Where it is given up below, what it still does is of no interest.
  request.on('error', () => {});
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`it answers ${response.statusCode}`);
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > MAX_SIZE) throw new Error('it says too much');
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString('utf8');
  } finally {
    request.destroy();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `nothing in ${TIMEOUT / 1000} s`;
  if ('code' in error && error.code === 'ECONNREFUSED') return 'connection refused';
  return error.message;
}
