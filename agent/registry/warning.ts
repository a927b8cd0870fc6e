/** What an answer rests on, where that is not what upstream says now. */
interface Rests {
  /** Milliseconds since upstream was asked last. */
  readonly staleFor?: number;
  /** Who asked it, where that was another agent. */
  readonly toldBy?: string;
}

/**
 * The Warning header of an answer that upstream did not confirm (RFC 7234 §5.5; in the one form that the OCI
 * distribution spec, "Warnings", has clients show: code 299, no agent, no date); undefined where none is due.
 */
export function tagWarning({ staleFor, toldBy }: Rests): string | undefined {
  if (staleFor === undefined) return undefined;
  const checked = `was last checked ${Math.round(staleFor / 1000)} s ago.`;
  if (toldBy === undefined) {
    return `299 - "The upstream registry cannot be asked now; what this tag means ${checked}"`;
  }
  return `299 - "What this tag means is the word of peer ${toldBy}; it ${checked}"`;
}
