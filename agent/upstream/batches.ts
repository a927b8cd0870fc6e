import { pause } from './pause.ts';

/** What comes of an answer first is passed on at once: somebody waits for it. Bytes. */
const PROMPT = 256 * 1024;

/** A piece smaller than this says that the line is slower than we are. Bytes: a socket gives up to 64 KiB at a time. */
const SMALL = 48 * 1024;

/** How long the line may fill the socket's buffer meanwhile. Milliseconds: nobody notices, and 25 Gbit/s need 64 MB. */
const REST = 20;

/**
 * The same bytes in fewer pieces. A line that is slower than this process gives a few packets at a time, and each piece
 * is hashed, written, told of and read back: at 100 Mbit/s that took a quarter of a core. Left alone for a moment, the
 * kernel gathers them.
 */
export async function* inBatches(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    yield piece;
    if (bytes > PROMPT && piece.length < SMALL) await pause(REST, signal);
  }
}
