import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

/** Whom TLS connections to registries trust. */
export interface Trust {
  /**
   * The roots that come with Node and the system's, and `ca` (PEM) beside them. Made once for each `ca`: a context of
   * its own for each connection would read hundreds of certificates anew.
   */
  context(ca: string | undefined): SecureContext;
}

/** @returns one that reads nothing before it is asked: an agent whose neighbours have all needs no TLS */
export function createTrust(): Trust {
  // One for each CA of the configuration, and one without.
  const contexts = new Map<string | undefined, SecureContext>();
  let roots: readonly string[] | undefined;
  return {
    context(ca) {
      const known = contexts.get(ca);
      if (known !== undefined) return known;
      roots ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
      const context = createSecureContext({ ca: ca === undefined ? [...roots] : [...roots, ca] });
      contexts.set(ca, context);
      return context;
    },
  };
}
