import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { AgentError } from '../errors.ts';
import type { ServeInit } from './init.ts';
import { isLocalCaller } from './local.ts';
import type { LocalCommand } from './ports.ts';
import { clientSignal } from './send.ts';
import { sendLines } from './send-lines.ts';

/** Where the agent is asked to do something, by `layerlan` on this machine: `POST /agent/NAME?…`. */
export const COMMANDS_PATH = '/agent/';

/** Where a caller shows the owner's key. */
const OWNER_HEADER = 'x-layerlan-owner';

/**
 * Answers one of the agent's own commands. Whoever may pull may not have the agent ask upstream at will, or learn or
 * change what it holds, so only callers on this machine are served; web pages in its browsers are refused as they are
 * everywhere.
 */
export function createCommand(
  command: LocalCommand,
  { closing, admit, clientStallTimeout }: Pick<ServeInit, 'closing' | 'admit' | 'clientStallTimeout'>,
  logger: Logger,
) {
  return async function serveCommand(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { remoteAddress, localAddress } = request.socket;
    if (!isLocalCaller(remoteAddress, localAddress)) {
      throw new AgentError('REQUEST_DENIED', 'Only a caller on this machine may give the agent a command.');
    }
    const parameters = request.query as Record<string, unknown>;
    const optional = (name: string): string | undefined => {
      const value = parameters[name];
      if (value === undefined || typeof value === 'string') return value;
      throw new AgentError('REQUEST_INVALID', `There is more than one ${name} parameter.`);
    };
    const signal = clientSignal(reply.raw, closing);
    const answer = await command({
      one: (name) => {
        const value = optional(name);
        if (value === undefined) throw new AgentError('REQUEST_INVALID', `One ${name} parameter is needed.`);
        return value;
      },
      optional,
      flag: (name) => optional(name) === 'true',
      admit,
      ownerKey: request.headers[OWNER_HEADER]?.toString(),
      // Who reads no more of it must still be able to say why.
      body: request.raw.iterator({ destroyOnReturn: false }),
      signal,
    });
    if (Symbol.asyncIterator in answer) return await sendLines(reply, answer, signal, clientStallTimeout, logger);
    return reply.header('Content-Type', 'application/json').send(Buffer.from(`${JSON.stringify(answer)}\n`));
  };
}
