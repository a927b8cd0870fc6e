import { randomBytes } from 'node:crypto';
import type { Part } from './range.ts';

/** Long enough that no content holds it by chance, and unknown to whoever made the content. Bytes. */
const BOUNDARY_LENGTH = 15;

/** A body of several parts of one representation (RFC 9110, 14.6). */
export interface Multipart {
  readonly contentType: string;
  /** Of the whole body, with all that stands between the parts. Bytes. */
  readonly length: number;
  /** Each part with what stands before it. */
  readonly parts: readonly { readonly part: Part; readonly head: Buffer }[];
  /** What stands behind the last. */
  readonly tail: Buffer;
}

/** How `parts` of `size` bytes of `mediaType` are sent in one body. */
export function multipartOf(parts: readonly Part[], size: number, mediaType: string): Multipart {
  const boundary = randomBytes(BOUNDARY_LENGTH).toString('hex');
  const headed = parts.map((part, at) => {
    const range = `bytes ${part.start}-${part.end - 1}/${size}`;
    const head = `--${boundary}\r\nContent-Type: ${mediaType}\r\nContent-Range: ${range}\r\n\r\n`;
    return { part, head: Buffer.from(at === 0 ? head : `\r\n${head}`) };
  });
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const length = headed.reduce((sum, { part, head }) => sum + head.length + part.end - part.start, tail.length);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, parts: headed, tail };
}

/**
 * The bytes of such a body, with what `read` gives of each part. Nothing is yielded before the first part's first bytes
 * are there: what fails at once can then still be told with a status of its own.
 */
export async function* multipartBody(
  { parts, tail }: Multipart,
  read: (part: Part) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  for (const { part, head } of parts) {
    let isHeadSent = false;
    for await (const piece of read(part)) {
      // One write for a small part.
      yield isHeadSent ? piece : Buffer.concat([head, piece]);
      isHeadSent = true;
    }
  }
  yield tail;
}
