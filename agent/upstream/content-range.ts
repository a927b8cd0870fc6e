import { isBlobSize } from '../../protocol/chunks.ts';

/** What a Content-Range header says. Bytes. */
export interface ContentRange {
  /** First byte; undefined in an answer to a range that cannot be satisfied. */
  readonly start: number | undefined;
  /** Where it ends: the byte behind the last. Undefined as {@link start}. */
  readonly end: number | undefined;
  /** Size of the whole; undefined where the server does not say. */
  readonly size: number | undefined;
}

/** The range in `bytes 5-9/10`, `bytes 5-9/*` or, of a 416, `bytes *\/10` (RFC 9110 §14.4); undefined for all else. */
export function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = /^bytes (?:(\d{1,16})-(\d{1,16})|\*)\/(?:(\d{1,16})|\*)$/i.exec(header ?? '');
  if (match === null) return undefined;
  const start = match[1] === undefined ? undefined : Number(match[1]);
  const last = match[2] === undefined ? undefined : Number(match[2]);
  const size = match[3] === undefined ? undefined : Number(match[3]);
  if (size !== undefined && !isBlobSize(size)) return undefined;
  if (start !== undefined && last !== undefined && (start > last || last >= (size ?? Number.POSITIVE_INFINITY))) {
    return undefined;
  }
  return { start, end: last === undefined ? undefined : last + 1, size };
}

/** The size in a Content-Length header; undefined where there is none or it is no blob's size. */
export function parseContentLength(header: string | undefined): number | undefined {
  const size = /^\d{1,16}$/.test(header ?? '') ? Number(header) : undefined;
  return isBlobSize(size) ? size : undefined;
}
