import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { briefly } from '../errors.ts';
import { begun } from './begun.ts';
import { problemOf } from './problem.ts';
import { watch } from './send.ts';

/**
 * While a command has nothing to say an empty line goes out this often: it tells the caller that the agent lives, and
 * the agent that the caller does. Milliseconds.
 */
const BEAT = 5_000;

/**
 * Sends what a command says as JSON lines, no faster than they are read; a caller that reads nothing for `stallTimeout`
 * milliseconds is let go. What fails before the first line is thrown, and has a status of its own; what fails later is
 * told in the last line, as `{"errors":[…]}`. An answer that was cut off has no proper end in HTTP.
 */
export async function sendLines(
  reply: FastifyReply,
  answer: AsyncIterable<object>,
  signal: AbortSignal,
  stallTimeout: number,
  logger: Logger,
): Promise<FastifyReply> {
  // A command that is slow to begin must not look dead.
  const lines = await begun(answer, BEAT);
  reply.hijack();
  const response = reply.raw;
  reply.header('Content-Type', 'application/x-ndjson');
  response.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders);
  response.flushHeaders();
  const client = watch(response, stallTimeout);
  // Bytes are counted in no Content-Length, so a beat may come at any time between two lines.
  const beat = setInterval(() => response.write('\n'), BEAT);
  try {
    for await (const line of lines) {
      await client.flushed(Buffer.from(`${JSON.stringify(line)}\n`));
      if (client.outcome !== undefined || signal.aborted) break;
    }
    if (client.outcome === undefined && signal.aborted) response.write(problemOf(signal.reason).body);
  } catch (error) {
    if (client.outcome === undefined) {
      const { body, unexpected } = problemOf(error);
      if (unexpected) logger.error({ ...briefly(error), url: reply.request.routeOptions.url }, 'command failed');
      response.write(body);
    }
  } finally {
    clearInterval(beat);
    client.release();
    response.end();
  }
  return reply;
}
