import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { AgentError, briefly } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import { checkRequest, isLast } from './check-request.ts';
import { HEADERS_TIMEOUT } from './limits.ts';
import { createListeners, hostsOf } from './listeners.ts';
import { problemOf } from './problem.ts';
import { parseTarget } from './target.ts';

export interface ScrapeComponents {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'registry'>;
  /** What `/healthz` says: 503 where not `ok`. */
  readonly health: () => { readonly ok: boolean };
}

export interface ScrapeInit {
  /**
   * Names the Host header may have, beside localhost, loopback addresses, the address that was connected to, the names
   * listened on and the machine's own.
   * @default []
   */
  readonly allowedHosts?: readonly string[];
}

/** The figures for a scraper on another host: `/metrics` and `/healthz`, and nothing else. */
export interface Scrape {
  /** What was bound, as `host:port`. */
  readonly addresses: readonly string[];
  /**
   * Listens on every one of `addresses` (`host:port`), or on none; only such as do not exist are waited for, where there
   * is another. To be called once.
   * @throws AgentError CONFIG_INVALID, ADDRESS_IN_USE, ADDRESS_UNUSABLE
   */
  listen(addresses: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Connections to each address at a time. A scraper has one. */
const MAX_CONNECTIONS = 64;

/** How long answers on their way may take once it closes. Milliseconds. */
const DRAIN_TIMEOUT = 1_000;

/** A listener of its own, so that who may read figures need not be let near the mirror. */
export function createScrape(components: ScrapeComponents, init: ScrapeInit = {}): Scrape {
  const { logger, metrics, health } = components;
  const names = [hostname(), ...(init.allowedHosts ?? [])];
  const allowedHosts = new Set(names.map((name) => name.toLowerCase()));
  const limits = { maxConnections: MAX_CONNECTIONS, headersTimeout: HEADERS_TIMEOUT };
  const listeners = createListeners((request, response) => void serve(request, response), { logger }, limits);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (isLast(request)) response.setHeader('Connection', 'close');
      checkRequest(request, request.url ?? '', allowedHosts);
      const [path] = parseTarget(request.url ?? '').path.split('?');
      if (path === '/metrics') {
        return send(response, 200, metrics.registry.contentType, await metrics.registry.metrics());
      }
      if (path !== '/healthz') throw new AgentError('ROUTE_UNKNOWN', 'Here are /metrics and /healthz only.');
      const state = health();
      send(response, state.ok ? 200 : 503, 'application/json', `${JSON.stringify(state)}\n`);
    } catch (error) {
      const problem = problemOf(error);
      if (problem.unexpected) logger.error(briefly(error), 'request failed');
      if (problem.status === 405) response.setHeader('Allow', 'GET, HEAD');
      send(response, problem.status, 'application/json', problem.body);
    }
  }

  return {
    get addresses() {
      return listeners.addresses;
    },
    async listen(addresses) {
      for (const host of hostsOf(addresses)) allowedHosts.add(host);
      await listeners.open(addresses);
      logger.info({ addresses: listeners.addresses }, 'metrics are served');
    },
    async close() {
      const timer = setTimeout(() => listeners.closeAll(), DRAIN_TIMEOUT);
      try {
        await listeners.close();
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function send(response: ServerResponse, status: number, type: string, body: string | Uint8Array): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length });
  response.end(bytes);
}
