/**
 * What a Retry-After header asks for, in milliseconds from `now` (RFC 9110 §10.2.3: seconds or a date); undefined
 * where there is none or it makes no sense.
 */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = /[a-z]/i.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
