/** What part of a representation to send. `end` is exclusive. */
export type Selection =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

// One range. Several at once (multipart/byteranges, which lazy pullers would like) come later: RFC 9110 allows to
// ignore a Range, and those clients accept the whole.
const RANGE = /^bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*$/i;

const WHOLE: Selection = { kind: 'whole' };

/**
 * What a Range header selects from `size` bytes (RFC 9110, 14.1 and 14.2). Another unit, several ranges and what breaks
 * the grammar are ignored, as the RFC asks.
 */
export function selectRange(header: string | undefined, size: number): Selection {
  const [matched, first, last, suffix] = RANGE.exec(header ?? '') ?? [];
  if (matched === undefined) return WHOLE;
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return { kind: 'unsatisfiable' };
    // The last n of no bytes is satisfiable, but no Content-Range can say so.
    return size === 0 ? WHOLE : { kind: 'part', start: Math.max(0, size - length), end: size };
  }
  const start = Number(first);
  const end = last === '' || last === undefined ? size : Math.min(size, Number(last) + 1);
  // bytes=5-2 is malformed, wherever the content ends.
  if (last !== '' && last !== undefined && Number(last) < start) return WHOLE;
  if (start >= size) return { kind: 'unsatisfiable' };
  return { kind: 'part', start, end };
}
