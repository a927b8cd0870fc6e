import type { Endpoint } from './endpoint.ts';
import { hostOf } from './no-proxy.ts';
import type { UpstreamOptions } from './options.ts';
import { createTransport, type Transport } from './transport.ts';
import { createTrust } from './trust.ts';

/** All connections to registries and to where they send us. */
export interface Transports {
  /** The connections by which `url` may be reached, for a request that began at `endpoint`. */
  to(endpoint: Endpoint, url: URL): Transport;
  /** Ends all sockets. */
  close(): Promise<void>;
}

interface Pair {
  readonly anywhere: Transport;
  readonly publicOnly: Transport;
}

/**
 * Two transports for each CA: a company's CA signs for its own registry, its storage and its token server, and must be
 * believed about nobody else's.
 */
export function createTransports(options: UpstreamOptions): Transports {
  const trust = createTrust();
  // One for each CA of the configuration, and one without.
  const pairs = new Map<string | undefined, Pair>();
  const pairFor = (ca: string | undefined): Pair => {
    const known = pairs.get(ca);
    if (known !== undefined) return known;
    const secureContext = () => trust.context(ca);
    const pair = {
      anywhere: createTransport(false, secureContext, options),
      publicOnly: createTransport(true, secureContext, options),
    };
    pairs.set(ca, pair);
    return pair;
  };
  return {
    // A registry that is itself on the LAN may send us to storage or for tokens there. One on the internet may not send
    // us to private addresses, and neither may one that the operator never wrote.
    to(endpoint, url) {
      const { anywhere, publicOnly } = pairFor(endpoint.ca);
      const isHome = url.origin === endpoint.origin;
      return endpoint.isConfigured && (isHome || anywhere.isPrivate(hostOf(new URL(endpoint.origin))))
        ? anywhere
        : publicOnly;
    },
    async close() {
      await Promise.all([...pairs.values()].flatMap((pair) => [pair.anywhere.close(), pair.publicOnly.close()]));
    },
  };
}
