import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { selectRange } from '../../../agent/registry/range.ts';

/** A Range header with one range, and which bytes RFC 9110 (14.1.2) says it means. */
interface Case {
  readonly header: string;
  readonly selects: (byte: number, size: number) => boolean;
}

const position = fc.oneof(fc.nat(40), fc.constantFrom(2 ** 31, 2 ** 53, 10 ** 300));
const digits = (value: number) => BigInt(value).toString();
/** Leading zeros are digits like others. */
const zeros = fc.constantFrom('', '0', '000');
const unit = fc.constantFrom('bytes', 'Bytes', 'BYTES');

const closed = fc.tuple(unit, zeros, position, zeros, position).map(
  ([name, before, first, between, last]): Case => ({
    header: `${name}=${before}${digits(first)}-${between}${digits(last)}`,
    selects: (byte) => byte >= first && byte <= last,
  }),
);
const open = fc.tuple(unit, zeros, position).map(
  ([name, before, first]): Case => ({
    header: `${name}=${before}${digits(first)}-`,
    selects: (byte) => byte >= first,
  }),
);
const suffix = fc.tuple(unit, zeros, position).map(
  ([name, before, length]): Case => ({
    header: `${name}=-${before}${digits(length)}`,
    selects: (byte, size) => byte >= size - length,
  }),
);

test('a range selects the bytes that a look at each of them does', () => {
  fc.assert(
    fc.property(fc.oneof(closed, open, suffix), fc.integer({ min: 1, max: 40 }), ({ header, selects }, size) => {
      const bytes = Array.from({ length: size }, (_, byte) => byte);
      const wanted = bytes.filter((byte) => selects(byte, size));
      const selection = selectRange(header, size);
      if (wanted.length === 0) assert.equal(selection.kind, 'unsatisfiable', `${header} of ${size}`);
      else {
        assert.ok(selection.kind === 'part', `${header} of ${size}`);
        assert.deepEqual(bytes.slice(selection.start, selection.end), wanted, `${header} of ${size}`);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('no header makes it throw, or select what is not there', () => {
  const piece = fc.constantFrom('bytes', '=', '-', ',', '0', '7', '99', ' ', '\t', '\n', 'e', '.', '+', '*', 'items');
  const header = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(header, fc.nat(40), (text, size) => {
      const selection = selectRange(text, size);
      if (selection.kind !== 'part') return;
      assert.ok(selection.start >= 0 && selection.start < selection.end && selection.end <= size, text);
    }),
    { numRuns: 2_000 },
  );
});
