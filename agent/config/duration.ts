const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const DURATION = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/;

/** Milliseconds of `100ms`, `5s`, `1.5m`, `24h` or `7d`; undefined where `text` is none of that. */
export function parseDuration(text: string): number | undefined {
  const [whole, number, unit] = DURATION.exec(text) ?? [];
  // `$` also matches before a final newline, hence the comparison.
  if (whole !== text) return undefined;
  return Math.round(Number(number) * UNITS[unit as keyof typeof UNITS]);
}
