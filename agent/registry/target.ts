/** What a request is sent to. */
export interface Target {
  /** Begins with a slash; undecoded, with the query. */
  readonly path: string;
  /** Host and port, where the target itself names them: then the Host header counts for nothing. */
  readonly authority: string | undefined;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)([\s\S]*)$/i;

/**
 * Reads a request's target in any of its forms (RFC 9112, 3.2). The asterisk, and what is in none of them, becomes a
 * path at which there is nothing.
 */
export function parseTarget(text: string): Target {
  if (text.startsWith('/')) return { path: text, authority: undefined };
  const [whole, authority, rest = ''] = ABSOLUTE.exec(text) ?? [];
  if (whole === undefined) return { path: `/${text}`, authority: undefined };
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority };
}
