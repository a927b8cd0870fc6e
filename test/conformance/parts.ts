import assert from 'node:assert/strict';
import type { Answer } from './wire.ts';

/** A part of a multipart/byteranges body. */
export interface ReadPart {
  readonly range: string;
  readonly start: number;
  readonly bytes: Buffer;
}

/** Takes such a body apart (RFC 9110, 14.6; RFC 2046, 5.1.1). */
export function partsOf(answer: Answer): ReadPart[] {
  const type = answer.header('content-type') ?? '';
  const boundary = /^multipart\/byteranges; *boundary="?([0-9A-Za-z'()+_,./:=?-]+)"?$/i.exec(type)?.[1];
  assert.ok(boundary, `Content-Type ${type}`);
  const [preamble, ...pieces] = `\r\n${answer.body.toString('latin1')}`.split(`\r\n--${boundary}`);
  assert.equal(preamble, '');
  assert.match(pieces.pop() ?? '', /^--(?:\r\n)?$/, 'the last boundary');
  return pieces.map((piece) => {
    const split = piece.indexOf('\r\n\r\n');
    assert.ok(piece.startsWith('\r\n') && split >= 0, 'a part with headers');
    const range = /^content-range: *(bytes (\d+)-(\d+)\/\d+)$/im.exec(piece.slice(0, split)) ?? [];
    const bytes = Buffer.from(piece.slice(split + 4), 'latin1');
    assert.equal(bytes.length, Number(range[3]) - Number(range[2]) + 1, 'a part as long as it says');
    return { range: range[1] ?? '', start: Number(range[2]), bytes };
  });
}
