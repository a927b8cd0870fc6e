/**
 * The Warning header of an answer that upstream could not confirm (RFC 7234 §5.5; in the one form that the OCI
 * distribution spec, "Warnings", has clients show: code 299, no agent, no date).
 * @param staleFor milliseconds since upstream was asked last
 */
export function staleWarning(staleFor: number): string {
  const seconds = Math.round(staleFor / 1000);
  return `299 - "The upstream registry cannot be asked now; what this tag means was last checked ${seconds} s ago."`;
}
