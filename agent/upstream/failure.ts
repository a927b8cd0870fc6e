import { errors } from 'undici';
import { AgentError, isAgentError } from '../errors.ts';

/** The connection ended under a request: a kept one that the server had just closed, or a server that fell over. */
const BROKEN = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'HPE_INVALID_EOF_STATE',
]);

/** Nobody answered, and it took a while to know: worth remembering. */
const SILENT = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN', 'EAI_AGAIN']);

/** Refused at once: asking again costs nothing. */
const REFUSED = new Set(['ECONNREFUSED', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EADDRNOTAVAIL', 'ECONNABORTED']);

/** Whoever answered could not show that it is who it should be. */
const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

/** What else TLS may fail for, and what to do. */
const TLS_ADVICE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED:
    'has a certificate that has expired: it must be renewed there, unless this machine’s clock is wrong',
  CERT_NOT_YET_VALID: 'has a certificate that is not valid yet: look at this machine’s clock, and at its own',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'has a certificate for other names: write it in the registry’s endpoints by a name that the certificate has',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'does not speak TLS: write it in the registry’s endpoints with http://, if plain text is meant',
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    'does not speak TLS: write it in the registry’s endpoints with http://, if plain text is meant',
};

/** What is no answer of HTTP's, or has no end. */
const NONSENSE: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_OVERFLOW: 'sent headers without end',
};

/** What went wrong below HTTP, as one of the table's errors. Our own pass through. */
export function upstreamError(error: unknown, host: string): AgentError {
  if (isAgentError(error)) return error;
  const code = codeOf(error);
  const options = { cause: error };
  if (BROKEN.has(code))
    return new AgentError('UPSTREAM_UNREACHABLE', `${host} broke the connection (${code})`, options);
  if (SILENT.has(code) || REFUSED.has(code)) {
    return new AgentError('UPSTREAM_UNREACHABLE', `${host} cannot be reached (${code})`, options);
  }
  if (UNTRUSTED.has(code)) {
    const advice = 'name the CA that signs for it in the registry’s ca, if it is to be trusted';
    return new AgentError(
      'UPSTREAM_FAILED',
      `${host} has a certificate of an unknown CA (${code}); ${advice}`,
      options,
    );
  }
  const what = isGarbled(error) ? 'sent something that is no HTTP' : (TLS_ADVICE[code] ?? NONSENSE[code]);
  if (what !== undefined) {
    const after = code === '' ? '' : ` (${code})`;
    return new AgentError('UPSTREAM_FAILED', `${host} ${what}${after}`, options);
  }
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return new AgentError('UPSTREAM_STALLED', `${host} does not answer`, options);
  return new AgentError('UPSTREAM_FAILED', `the request to ${host} failed (${code || 'unknown'})`, options);
}

/** Whether the connection broke or was garbled, so that the same request may well succeed on a new one. */
export function isBroken(error: AgentError): boolean {
  return BROKEN.has(codeOf(error.cause)) || isGarbled(error.cause);
}

/** Whether the HTTP parser refused it: what came is no HTTP, or is what was left of another answer. It has no code. */
function isGarbled(error: unknown): boolean {
  return error instanceof errors.HTTPParserError;
}

/** Whether it took a time-out to find that nobody answers. */
export function isSilent(error: unknown): boolean {
  return SILENT.has(codeOf(error)) || (isAgentError(error, 'UPSTREAM_UNREACHABLE') && SILENT.has(codeOf(error.cause)));
}

/** Whether an endpoint could not be asked, or did not answer, and it took time to find that out. */
export function isCostly(error: AgentError): boolean {
  const { code, cause } = error;
  return code === 'UPSTREAM_STALLED' || (code === 'UPSTREAM_UNREACHABLE' && !REFUSED.has(codeOf(cause)));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
