import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { z } from 'zod';
import type { Config } from '../config/load.ts';
import { AgentError } from '../errors.ts';
import { addressOf, notRunning, parsed } from './ask.ts';
import { type Command, failed, pathOf, type Said } from './command.ts';

/** How long the agent may send or take nothing: peers' bytes are held back for a minute, and a disk may be slow. Milliseconds. */
const SILENCE = 120_000;

/** Of an answer that is no blob: a manifest has at most so much. Bytes. */
const MAX_WHOLE = 4 * 1024 * 1024;

/** What the agent answered; `body` must be read to its end, or left. */
export interface Fetched {
  readonly headers: IncomingMessage['headers'];
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Gets something from the agent's mirror.
 * @param about what an error is about
 * @throws AgentError AGENT_NOT_RUNNING; what the agent says; `body` CONTENT_UNAVAILABLE
 */
export async function fetchFromAgent(
  config: Config,
  path: string,
  headers: Readonly<Record<string, string>>,
  about: string,
): Promise<Fetched> {
  const address = addressOf(config);
  const request = httpRequest(`http://${address}${path}`, { headers, agent: false, timeout: SILENCE });
  try {
    const response = await answered(request.end());
    const status = response.statusCode ?? 0;
    if (status === 200 || status === 206) return { headers: response.headers, body: bodyOf(request, response, about) };
    const json = parsed((await buffer(limited(response))).toString('utf8'));
    throw failed({ what: 'give an image', about }, address, status, json);
  } catch (error) {
    request.destroy();
    throw error instanceof AgentError ? error : notRunning(address, error, SILENCE);
  }
}

/** All of a small answer. */
export async function whole({ body }: Fetched): Promise<Buffer> {
  return buffer(limited(body));
}

/**
 * Has the agent take what is sent.
 * @throws AgentError AGENT_NOT_RUNNING, also where `body` fails with what is none; what the agent says; what `body` throws
 */
export async function sendToAgent<Answer>(
  config: Config,
  command: Command,
  { headers, body }: { headers: Readonly<Record<string, string>>; body: AsyncIterable<Uint8Array> },
  schema: z.ZodType<Answer>,
): Promise<Said<Answer>> {
  const address = addressOf(config);
  const options = { method: 'POST', headers, agent: false, timeout: SILENCE } as const;
  const request = httpRequest(`http://${address}${pathOf(command)}`, options);
  try {
    const answer = answered(request);
    await send(request, body, answer);
    const response = await answer;
    const status = response.statusCode ?? 0;
    const json = parsed((await buffer(limited(response))).toString('utf8'));
    const said = schema.safeParse(json);
    if (status !== 200 || !said.success) throw failed(command, address, status, json);
    return { answer: said.data, json };
  } catch (error) {
    throw error instanceof AgentError ? error : notRunning(address, error, SILENCE);
  } finally {
    request.destroy();
  }
}

/** An agent that refuses what comes answers before it has all: then the rest is not sent. */
async function send(
  request: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  answer: Promise<IncomingMessage>,
): Promise<void> {
  let isOver = false;
  const over = answer.then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  for await (const piece of body) {
    if (isOver) return;
    if (!request.write(piece)) await Promise.race([once(request, 'drain'), over]);
  }
  request.end();
}

async function answered(request: ClientRequest): Promise<IncomingMessage> {
  request.on('timeout', () => request.destroy(new DOMException('silent', 'TimeoutError')));
  // Where it is given up, what it still does is of no interest.
  request.on('error', () => {});
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** @param about what an error is about */
async function* bodyOf(
  request: ClientRequest,
  response: IncomingMessage,
  about: string,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* response;
  } catch (cause) {
    const why = `what the agent sends breaks off (${(cause as Error).message}); its log says more`;
    throw new AgentError('CONTENT_UNAVAILABLE', `${about}: ${why}`, { cause });
  } finally {
    request.destroy();
  }
}

async function* limited(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > MAX_WHOLE) throw new Error('it says too much');
    yield piece;
  }
}
