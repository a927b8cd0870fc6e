import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Stream } from '@libp2p/interface';
import { decode, encode } from 'cborg';

/* Frames and CBOR as docs/protocol.md has them; see independent-peer.ts for what may be imported here. */

/** "Frames": bytes. */
const MAX_FRAME = 525_312;

/** Ends whatever hangs, with a wide margin. Milliseconds. */
export const PATIENCE = 30_000;

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

/** Bytes of a stream as they come, gathered: what this peer asks for is bounded by what it asks for. */
export function read(stream: Stream) {
  let unread = Buffer.alloc(0);
  let ended = false;
  let wake: () => void = () => {};
  stream.addEventListener('message', ({ data }) => {
    unread = Buffer.concat([unread, data instanceof Uint8Array ? data : data.subarray()]);
    wake();
  });
  for (const event of ['end', 'close'] as const) {
    stream.addEventListener(event, () => {
      ended = true;
      wake();
    });
  }
  const more = () =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came for ${PATIENCE} ms`)), PATIENCE);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const exactly = async (length: number): Promise<Buffer> => {
    while (unread.length < length) {
      assert.ok(!ended, 'the stream ends where it may');
      await more();
    }
    const taken = unread.subarray(0, length);
    unread = unread.subarray(length);
    return taken;
  };
  return {
    exactly,
    /** The next body; undefined where the other side ended the stream between two frames. */
    async frame(): Promise<Uint8Array | undefined> {
      while (unread.length === 0) {
        if (ended) return undefined;
        await more();
      }
      let length = 0;
      for (let place = 1; ; place *= 128) {
        const [byte = 0] = await exactly(1);
        length += (byte % 128) * place;
        assert.ok(length <= MAX_FRAME, 'no frame is longer');
        if (byte < 128) return exactly(length);
      }
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
