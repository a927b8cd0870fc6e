import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Stream } from '@libp2p/interface';
import { decode, encode } from 'cborg';

/* Frames and CBOR as docs/protocol.md has them; see independent-peer.ts for what may be imported here. */

/** "Names". */
export const CONTROL = '/layerlan/control/1.0.0';
export const CHUNKS = '/layerlan/chunks/1.0.0';
export const BULK = '/layerlan/bulk/1.0.0';

/** "Frames": bytes. */
const MAX_FRAME = 525_312;

/** Ends whatever hangs, with a wide margin. Milliseconds. */
export const PATIENCE = 30_000;

/** Unread bytes of a stream above which its sender is held back. */
const HIGH_WATER = 256 * 1024;

export type Message = Record<string, unknown>;

/** "Frames". */
export function send(stream: Stream, message: Message): void {
  const body = encode(message);
  const head: number[] = [];
  for (let rest = body.length; ; rest = Math.floor(rest / 128)) {
    head.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) break;
  }
  stream.send(Buffer.concat([Buffer.from(head), body]));
}

export function parse(body: Uint8Array | undefined): Message {
  assert.ok(body !== undefined, 'the stream goes on');
  const options = { strict: true, allowIndefinite: false, allowUndefined: false, rejectDuplicateMapKeys: true };
  const message = decode(body, options) as Message;
  assert.deepEqual(Buffer.from(encode(message)), Buffer.from(body), 'a message has one encoding');
  return message;
}

/**
 * The frames and bytes of a stream, in order. A peer that sends more than anybody wants is held back: "there is no other
 * backpressure". One read at a time.
 */
export function read(stream: Stream) {
  const pieces: Uint8Array[] = [];
  let unread = 0;
  /** What the read that is waiting needs: less would hold it back for ever. */
  let wanted = 0;
  let ended = stream.readableEnded;
  let isResuming = false;
  let wake: () => void = () => {};
  const holdBack = () => {
    if (unread < Math.max(HIGH_WATER, wanted) || isResuming || stream.readStatus !== 'readable') return;
    stream.pause();
  };
  const letGo = () => {
    if (stream.readStatus !== 'paused') return;
    // It delivers all that has come before it opens the window: a pause in the middle of that would be undone.
    isResuming = true;
    stream.resume();
    isResuming = false;
    holdBack();
  };
  stream.addEventListener('end', () => {
    ended = true;
    wake();
  });
  stream.addEventListener('close', ({ error }) => {
    // A stream that is held back and closes in good order still has bytes to give, and ends behind them.
    if (error !== undefined || stream.readBufferLength === 0) ended = true;
    wake();
  });
  // Last: it delivers what is there already.
  stream.addEventListener('message', ({ data }) => {
    const piece = data.subarray();
    pieces.push(piece);
    unread += piece.length;
    holdBack();
    wake();
  });
  const more = (patience: number) =>
    new Promise<void>((resolve, reject) => {
      const late = () => reject(new Error(`nothing came for ${patience} ms`));
      const timer = Number.isFinite(patience) ? setTimeout(late, patience) : undefined;
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      letGo();
    });
  const take = (length: number): Buffer => {
    const taken = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const piece = pieces[0]!;
      const part = piece.subarray(0, length - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === piece.length) pieces.shift();
      else pieces[0] = piece.subarray(part.length);
    }
    unread -= length;
    return taken;
  };
  const exactly = async (length: number): Promise<Buffer> => {
    wanted = length;
    while (unread < length) {
      assert.ok(!ended, 'the stream ends where it may');
      await more(PATIENCE);
    }
    wanted = 0;
    return take(length);
  };
  /** The next body; undefined where the other side ended the stream between two frames. */
  const frame = async (patience = PATIENCE): Promise<Uint8Array | undefined> => {
    while (unread === 0) {
      if (ended) return undefined;
      await more(patience);
    }
    let length = 0;
    for (let place = 1; ; place *= 128) {
      const [byte = 0] = await exactly(1);
      length += (byte % 128) * place;
      assert.ok(length <= MAX_FRAME, 'no frame is longer');
      if (byte < 128) return exactly(length);
    }
  };
  return {
    exactly,
    frame,
    /** The bodies of one who asks or tells, and may be silent for hours in between. */
    async *frames(): AsyncGenerator<Uint8Array> {
      for (let body = await frame(Infinity); body !== undefined; body = await frame(Infinity)) yield body;
    },
  };
}

export function sha256(of: Uint8Array): Buffer {
  return createHash('sha256').update(of).digest();
}

export function text(value: unknown): string {
  assert.equal(typeof value, 'string');
  return value as string;
}

export function bytes(value: unknown): Uint8Array {
  assert.ok(value instanceof Uint8Array);
  return value;
}
