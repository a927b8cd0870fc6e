import { isAgentError } from '../../errors.ts';
import type { Throttle } from '../../limits/throttle.ts';
import { bodyHead, type OutgoingLane } from '../bulk/holder.ts';
import type { ChunkBuffer } from './buffers.ts';

export interface BodySending {
  /** Each piece is paid for before it is sent. */
  readonly upload: Throttle;
  /** Told of every body byte that went. */
  onServed(bytes: number): void;
  /** Told of those among them that went by a lane. */
  onSentByLane(bytes: number): void;
}

/** A lane that ends is the asker's to notice: it asks again without. */
export async function sendByLane(
  lane: OutgoingLane,
  tag: number,
  chunk: Uint8Array,
  buffer: ChunkBuffer,
  { upload, onServed, onSentByLane }: BodySending,
  signal: AbortSignal,
): Promise<void> {
  const head = bodyHead(tag, chunk.length);
  const length = head.length + chunk.length;
  const onSent = lessHead(head, (bytes) => {
    onServed(bytes);
    onSentByLane(bytes);
  });
  try {
    await lane.send(length, pieces(head, chunk, buffer, upload, chunk.length, signal), onSent);
  } catch (error) {
    if (!isAgentError(error)) throw error;
  }
}

/** What is told of pieces that went: the body's bytes, without the head in the first. */
export function lessHead(head: Uint8Array, onServed: (bytes: number) => void): (bytes: number) => void {
  let unpaid = head.length;
  return (bytes) => {
    onServed(bytes - unpaid);
    unpaid = 0;
  };
}

/** The first piece bears the head: a write of its own costs as much as 16 KiB of the body. */
export async function* pieces(
  head: Uint8Array,
  bytes: Uint8Array,
  buffer: ChunkBuffer,
  upload: Throttle,
  most: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  do {
    const start = at;
    at += upload.piece(Math.min(most, bytes.length - at));
    const held = upload.take(at - start, signal);
    if (held !== undefined) await held;
    const piece = bytes.subarray(start, at);
    yield start === 0 ? buffer.join(head, piece) : piece;
  } while (at < bytes.length);
}
