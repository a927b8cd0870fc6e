import { AgentError, isAgentError } from '../errors.ts';

/** The connection ended under a request: a kept one that the server had just closed, or a server that fell over. */
const BROKEN = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'HPE_INVALID_EOF_STATE',
]);

/** The HTTP parser's codes: what came is no HTTP, or is what was left of another answer. */
const GARBLED = /^HPE_/;

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
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return new AgentError('UPSTREAM_STALLED', `${host} does not answer`, options);
  return new AgentError('UPSTREAM_FAILED', `the request to ${host} failed (${code || 'unknown'})`, options);
}

/** Whether the connection broke or was garbled, so that the same request may well succeed on a new one. */
export function isBroken(error: AgentError): boolean {
  const code = codeOf(error.cause);
  return BROKEN.has(code) || GARBLED.test(code);
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
