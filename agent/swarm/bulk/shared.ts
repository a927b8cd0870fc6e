import type { SharedBytes } from './thread/messages.ts';

/** Memory that the bulk thread sees too. */
export function sharedBuffer(size: number): Uint8Array {
  return Buffer.from(new SharedArrayBuffer(size));
}

/** The same bytes as they are told to the bulk thread; undefined where it does not see them. */
export function sharedBytes(bytes: Uint8Array): SharedBytes | undefined {
  const { buffer, byteOffset: offset, length } = bytes;
  return buffer instanceof SharedArrayBuffer ? { memory: buffer, offset, length } : undefined;
}

/** A copy of bytes that it does not see. */
export function sharedCopy(bytes: Uint8Array): SharedBytes {
  const memory = new SharedArrayBuffer(bytes.length);
  new Uint8Array(memory).set(bytes);
  return { memory, offset: 0, length: bytes.length };
}
