/** A part of a representation, in bytes. `end` is exclusive. */
export interface Part {
  readonly start: number;
  readonly end: number;
  /** Whether the client named no end (`bytes=5-`): it goes on from there, rather than looks at a part. */
  readonly isOpenEnded: boolean;
}

/** What to send of a representation. */
export type Selection =
  | { readonly kind: 'whole' }
  | ({ readonly kind: 'part' } & Part)
  /** Two or more, in the order they were asked for; no two touch. */
  | { readonly kind: 'parts'; readonly parts: readonly Part[] }
  | { readonly kind: 'unsatisfiable' };

/** What of a header selects nothing. `inverted`: the first byte comes after the last. */
type Nothing = 'malformed' | 'inverted' | 'empty' | 'outside';

const RANGES = /^bytes=(.*)$/i;
const RANGE = /^[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*$/;

/** A client that asks for more ranges at once gets the whole, as RFC 9110 allows (14.2): it is a mistake, or an attack. */
const MAX_RANGES = 1024;

/** What lies between two parts is sent along where it is no more than what a part costs of itself (RFC 9110, 15.3.7.2). Bytes. */
const LEAST_GAP = 80;

const WHOLE: Selection = { kind: 'whole' };

/**
 * What a Range header selects from `size` bytes (RFC 9110, 14.1 and 14.2). Another unit, what breaks the grammar and
 * too many ranges are ignored, as the RFC asks. A range that ends before it begins may be ignored or refused: it is
 * refused, as OCI's conformance suite wants it. Of several ranges those outside are passed over, and those that overlap
 * or nearly touch become one.
 */
export function selectRange(header: string | undefined, size: number): Selection {
  const list = RANGES.exec(header ?? '')?.[1];
  if (list === undefined) return WHOLE;
  const asked = list.split(',', MAX_RANGES + 1);
  if (asked.length > MAX_RANGES) return WHOLE;
  // A list may have empty elements (RFC 9110, 5.6.1).
  const ranges = asked.filter((text) => !/^[ \t]*$/.test(text)).map((text) => partOf(text, size));
  if (ranges.length === 0 || ranges.includes('malformed')) return WHOLE;
  if (ranges.includes('inverted')) return { kind: 'unsatisfiable' };
  // The last n of no bytes are satisfiable, but no Content-Range can say so.
  if (ranges.includes('empty')) return WHOLE;
  const parts = ranges.filter((range) => typeof range === 'object').reduce<readonly Part[]>(joined, []);
  const [first, ...others] = parts;
  if (first === undefined) return { kind: 'unsatisfiable' };
  return others.length === 0 ? { kind: 'part', ...first } : { kind: 'parts', parts };
}

function partOf(text: string, size: number): Part | Nothing {
  const [matched, first, last, suffix] = RANGE.exec(text) ?? [];
  if (matched === undefined) return 'malformed';
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return 'outside';
    return size === 0 ? 'empty' : { start: Math.max(0, size - length), end: size, isOpenEnded: false };
  }
  const start = Number(first);
  const isOpenEnded = last === '' || last === undefined;
  if (!isOpenEnded && Number(last) < start) return 'inverted';
  if (start >= size) return 'outside';
  return { start, end: isOpenEnded ? size : Math.min(size, Number(last) + 1), isOpenEnded };
}

/** `parts` and one more, which takes in those that it overlaps or nearly touches, in the place of the first of them. */
function joined(parts: readonly Part[], next: Part): readonly Part[] {
  const isNear = (part: Part) => part.start <= next.end + LEAST_GAP && next.start <= part.end + LEAST_GAP;
  const near = parts.filter(isNear);
  if (near.length === 0) return [...parts, next];
  const union = [...near, next].reduce((one, other) => ({
    start: Math.min(one.start, other.start),
    end: Math.max(one.end, other.end),
    isOpenEnded: one.isOpenEnded || other.isOpenEnded,
  }));
  return parts.flatMap((part) => (part === near[0] ? [union] : isNear(part) ? [] : [part]));
}
