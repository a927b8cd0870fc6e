import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger } from 'pino';

/** Of an error's words, which hold whatever addresses were tried. Characters. */
const MAX_REASON = 200;

/** `lost`: the first connection that did not last, which may mean anything. */
export type DialFailure = 'unreachable' | 'refused' | 'lost';

/** What there is to say of a dial that failed. */
export interface FailedDial {
  readonly peer: string | undefined;
  readonly addresses: readonly Multiaddr[];
  readonly reason: string;
  readonly kind: DialFailure;
  /** In a row. */
  readonly failures: number;
  /** The operator named the peer. */
  readonly isStatic: boolean;
  /** The warning was given before. */
  readonly warned: boolean;
}

/** Warns once of a peer that somebody must do something about; all else is for debugging. Returns whether it warned. */
export function tellDialFailure(logger: Logger, dial: FailedDial): boolean {
  const { peer, addresses, reason, kind, failures, isStatic, warned } = dial;
  const fields = { peer, addresses: addresses.map(String), reason, failures };
  if (!warned && kind === 'refused') {
    logger.warn(fields, 'peer refuses this agent: it has another network key or none, or has banned it; backing off');
    return true;
  }
  if (!warned && kind === 'unreachable' && isStatic) {
    logger.warn(fields, 'static peer cannot be reached; backing off');
    return true;
  }
  logger.debug(fields, 'dial failed');
  return false;
}

/** `refused` where Noise itself failed, which is what a different network key looks like from here, and a ban may. */
export function kindOf(error: unknown): 'unreachable' | 'refused' {
  return isHandshakeFailure(error) ? 'refused' : 'unreachable';
}

function isHandshakeFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isHandshakeFailure);
  return error instanceof Error && error.name === 'EncryptionFailedError';
}

/** The error in a few words: of several addresses, the first one's. */
export function reasonOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  return (first instanceof Error ? first.message : String(first)).slice(0, MAX_REASON);
}
