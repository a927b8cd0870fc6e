import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { AgentError, briefly } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Admission } from './admission.ts';
import { checkRequest, isLast } from './check-request.ts';
import { COMMANDS_PATH, createCommand } from './command.ts';
import type { Content, LocalCommand } from './ports.ts';
import { problemOf } from './problem.ts';
import { createRefresh } from './refresh.ts';
import { createServe } from './serve.ts';
import { parseTarget } from './target.ts';

/** Every method that is routed: writes must be refused as OCI says, not as an unknown path. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Of a request's URL, in a log line. Characters. */
const MAX_URL_LOGGED = 500;

export interface AppComponents {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly content: Content;
  /** The JSON behind `/status`. */
  readonly status: () => unknown;
  /** What `/healthz` says: 503 where not `ok`. */
  readonly health: () => { readonly ok: boolean };
  /**
   * What `layerlan` on this machine may have done, by name, beside `refresh`.
   * @default none
   */
  readonly commands?: Readonly<Record<string, LocalCommand>>;
}

export interface AppInit {
  /** Milliseconds. */
  readonly clientStallTimeout: number;
  /** Names the Host header may have, in lower case; read at each request. */
  readonly allowedHosts: ReadonlySet<string>;
  /** Throws where a repository may not be pulled. */
  readonly admit: Admission;
  /** Fires when bodies on their way must end. */
  readonly closing: AbortSignal;
  /** Whether connections should end with the request they are at. */
  readonly isDraining: () => boolean;
}

/** The one handler behind every listening socket; it is `app.routing`, once `app.ready()` has resolved. */
export function createApp(components: AppComponents, init: AppInit): FastifyInstance {
  const { logger, metrics, status, health } = components;
  // Requests are not logged: what a pull did is told where it is decided, in one line.
  const app = fastify({
    logger: false,
    rewriteUrl: (request) => parseTarget(request.url ?? '').path,
    // No hook sees what these are about: a path whose percent-encoding is broken.
    frameworkErrors: (error, request, reply) => {
      try {
        enter(request, reply);
        fail(error, reply);
      } catch (refused) {
        fail(refused, reply);
      }
    },
  });
  const serve = createServe(components, init);

  // A body means nothing to a mirror: it is neither parsed nor a reason to answer 415 where 405 is due.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));

  app.addHook('onRequest', async (request, reply) => enter(request, reply));
  app.setErrorHandler((error, _request, reply) => fail(error, reply));
  app.setNotFoundHandler((request) => {
    throw new AgentError('ROUTE_UNKNOWN', `There is nothing at ${request.url.slice(0, 200)}.`);
  });

  app.route({ method: METHODS, url: '/v2', handler: serve });
  app.route({ method: METHODS, url: '/v2/*', handler: serve });
  app.get('/healthz', (_request, reply) => {
    const state = health();
    return sendJson(reply.code(state.ok && !init.isDraining() ? 200 : 503), { ...state, draining: init.isDraining() });
  });
  const commands = { refresh: createRefresh(components.content), ...components.commands };
  for (const [name, command] of Object.entries(commands)) {
    app.post(COMMANDS_PATH + name, createCommand(command, init, logger));
  }
  app.get('/status', async (_request, reply) => sendJson(reply, await status()));
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.registry.metrics();
    return reply.header('Content-Type', metrics.registry.contentType).send(text);
  });
  return app;

  /** @throws AgentError where the request is not let in */
  function enter(request: FastifyRequest, reply: FastifyReply): void {
    // Whatever becomes of the request: clients look for it in errors too.
    if (/^\/v2(?:[/?]|$)/.test(request.url)) reply.header('Docker-Distribution-API-Version', 'registry/2.0');
    if (isLast(request.raw) || init.isDraining()) reply.header('Connection', 'close');
    checkRequest(request.raw, request.originalUrl, init.allowedHosts);
  }

  function fail(error: unknown, reply: FastifyReply): FastifyReply {
    const told = isMalformed(error) ? new AgentError('REQUEST_INVALID', error.message) : error;
    const problem = problemOf(told);
    // Where the client is gone, whatever the abort threw is of no interest.
    if (!reply.raw.destroyed) {
      const { method, url, headers } = reply.request;
      const about = { ...briefly(told), method, url: url.slice(0, MAX_URL_LOGGED) };
      if (problem.unexpected) logger.error(about, 'request failed');
      // Clients go on to the registry without a word: this is where it shows why.
      else logger.debug({ ...about, host: headers.host, status: problem.status }, 'request refused');
    }
    // These were set for a body that is not coming.
    for (const name of ['Content-Length', 'Docker-Content-Digest', 'ETag', 'Accept-Ranges']) reply.removeHeader(name);
    if (problem.status !== 416) reply.removeHeader('Content-Range');
    if (problem.status === 405) reply.header('Allow', 'GET, HEAD');
    return reply.code(problem.status).header('Content-Type', 'application/json').send(problem.body);
  }
}

/** What fastify itself refuses with a 4xx, such as a path whose percent-encoding is broken. */
function isMalformed(error: unknown): error is Error {
  if (!(error instanceof Error) || !('statusCode' in error)) return false;
  return Number(error.statusCode) >= 400 && Number(error.statusCode) < 500;
}

function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header('Content-Type', 'application/json').send(Buffer.from(`${JSON.stringify(value)}\n`));
}
