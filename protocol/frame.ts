import { MAX_FRAME_LENGTH } from './messages.ts';

/** Longest unsigned varint that a frame length may take. Bytes. */
const MAX_PREFIX_LENGTH = 4;

/** `body` behind its length as an unsigned varint (LEB128, multiformats' unsigned-varint). */
export function encodeFrame(body: Uint8Array): Uint8Array {
  if (body.length > MAX_FRAME_LENGTH) throw new RangeError(`a frame holds at most ${MAX_FRAME_LENGTH} bytes`);
  const prefix: number[] = [];
  let rest = body.length;
  while (rest >= 0x80) {
    prefix.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  prefix.push(rest);
  const frame = new Uint8Array(prefix.length + body.length);
  frame.set(prefix);
  frame.set(body, prefix.length);
  return frame;
}

/** What the start of a buffer says of the frame it begins with. */
export type FrameHead =
  | { readonly kind: 'frame' /** where the body starts */; readonly start: number; readonly length: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed' };

/** Reads a frame's length from the start of `bytes`: nothing is buffered for a frame that is too long. */
export function frameHead(bytes: Uint8Array): FrameHead {
  let length = 0;
  for (let at = 0; at < MAX_PREFIX_LENGTH; at++) {
    const byte = bytes[at];
    if (byte === undefined) return { kind: 'incomplete' };
    length |= (byte & 0x7f) << (7 * at);
    if (byte < 0x80) {
      // A zero behind the first byte makes a second spelling of the same length.
      const minimal = at === 0 || byte !== 0;
      return minimal && length <= MAX_FRAME_LENGTH ? { kind: 'frame', start: at + 1, length } : { kind: 'malformed' };
    }
  }
  return { kind: 'malformed' };
}
