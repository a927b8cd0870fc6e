import { AgentError } from '../../errors.ts';

/** What is behind the codes that connections fail with, in words an operator can use. */
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'the name server does not answer',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection is cut',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  UND_ERR_SOCKET: 'the connection is cut',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by anybody known here (a proxy that opens TLS?)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by anybody known here (a proxy that opens TLS?)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not signed by anybody known here (a proxy that opens TLS?)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by anybody known here (a proxy that opens TLS?)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name (a proxy that opens TLS?)',
  CERT_HAS_EXPIRED: 'its certificate has expired, or the clock is wrong',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, or the clock is wrong',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
};

/** Why a request failed, in a few words. @param timeout how long it was given; milliseconds */
export function networkReason(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AgentError) return error.message;
  const code = 'code' in error ? String(error.code) : '';
  const late = ['TimeoutError', 'AbortError', 'ConnectTimeoutError'].includes(error.name) || code === 'ETIMEDOUT';
  if (late) return `no answer in ${timeout / 1000} s`;
  return REASONS[code] ?? (error.message || code);
}
