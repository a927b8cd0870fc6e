import { bearerChallenge } from '../../upstream/challenge.ts';
import type { Endpoint } from '../../upstream/endpoint.ts';
import { upstreamOptions } from '../../upstream/options.ts';
import type { ProxyFor } from '../../upstream/proxy-rule.ts';
import { realmUrl } from '../../upstream/realm.ts';
import type { Transport } from '../../upstream/transport.ts';
import { createTransports, type Transports } from '../../upstream/transports.ts';
import { networkReason } from './network-reason.ts';

/** How long one answer may take, a connection and its handshake included. Milliseconds. */
const TIMEOUT = 5_000;

/** What came of one request. */
export interface Reached {
  readonly status: number;
  /** How far the server's clock is ahead of ours; undefined where it told no date. Milliseconds. */
  readonly skew: number | undefined;
  /** In lower case, without parameters. */
  readonly contentType: string;
}

/** What came of asking one endpoint of a registry. */
export interface Probe {
  readonly origin: string;
  /** What `/v2/` answered, or why it did not. */
  readonly registry: Reached | string;
  /** Where it sends for tokens, and what that answered or why not; undefined where it sends nowhere. */
  readonly token?: { readonly host: string; readonly answer: Reached | string };
}

/** Asks endpoints of registries as the agent would, over connections like the agent's. */
export interface Prober {
  /** @param ca certificates to believe there beside the usual ones, PEM */
  probe(origin: string, ca?: string): Promise<Probe>;
  close(): Promise<void>;
}

export function createProber(proxyFor: ProxyFor): Prober {
  const transports = createTransports(upstreamOptions({ connectTimeout: TIMEOUT, proxyFor }));
  return {
    async probe(origin, ca) {
      // What is asked stands in the configuration, so it may be anywhere.
      const endpoint: Endpoint = { origin, prefix: '', isConfigured: true, ...(ca !== undefined && { ca }) };
      const url = new URL(`${origin}/v2/`);
      const { reached, challenge } = await ask(transports.to(endpoint, url), url);
      if (typeof reached === 'string' || reached.status !== 401) return { origin, registry: reached };
      const bearer = bearerChallenge(challenge);
      if (bearer === undefined) return { origin, registry: reached };
      return { origin, registry: reached, token: await askForToken(transports, endpoint, bearer) };
    },
    close: () => transports.close(),
  };
}

async function askForToken(
  transports: Transports,
  endpoint: Endpoint,
  { realm, service }: { realm: string; service: string | undefined },
): Promise<NonNullable<Probe['token']>> {
  let url: URL;
  try {
    url = realmUrl(realm, endpoint);
  } catch (error) {
    return { host: URL.parse(realm)?.host ?? 'nowhere', answer: networkReason(error, TIMEOUT) };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  return { host: url.host, answer: (await ask(transports.to(endpoint, url), url)).reached };
}

async function ask(
  transport: Transport,
  url: URL,
): Promise<{ reached: Reached | string; challenge?: string | string[] | undefined }> {
  const signal = AbortSignal.timeout(TIMEOUT);
  const before = Date.now();
  try {
    const { statusCode, headers, body } = await transport.request(
      { url, method: 'GET', headers: { accept: 'application/json' }, lane: 'short' },
      signal,
    );
    const between = (before + Date.now()) / 2;
    // Only that there is an answer is of interest; what is left of it goes with the connection.
    body.on('error', () => {});
    body.destroy();
    const date = Date.parse(String(headers.date));
    const contentType = String(headers['content-type'] ?? '')
      .split(';', 1)[0]!
      .trim()
      .toLowerCase();
    const skew = Number.isNaN(date) ? undefined : date - between;
    return { reached: { status: statusCode, skew, contentType }, challenge: headers['www-authenticate'] };
  } catch (error) {
    return { reached: networkReason(error, TIMEOUT) };
  }
}
