/** What comes of an answer first is passed on at once: somebody waits for it. Bytes. */
const PROMPT = 256 * 1024;

/** A larger piece says that the line is faster than we are. Bytes: a socket gives up to 64 KiB at a time. */
const LARGE = 48 * 1024;

/** What is there already, in the kernel or behind TLS, is handed out within so many turns of the event loop. */
const TURNS = 3;

/**
 * The same bytes in fewer pieces. A line that is slower than this process gives a few packets at a time, and each piece
 * is hashed, written, told of and read back: at 100 Mbit/s that took a quarter of a core. Left alone for a moment, the
 * kernel gathers them. A small piece alone does not show a slow line: over TLS no piece is larger than a record, 16 KiB.
 * So nobody rests where the next one is there.
 * @param rest leaves the line alone for a moment; what it throws ends the body
 */
export async function* inBatches(
  body: AsyncIterable<Uint8Array>,
  rest: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  let bytes = 0;
  let isSlow = false;
  try {
    for (;;) {
      const next = pieces.next();
      if (isSlow && !(await isThere(next))) await rest();
      const { done, value } = await next;
      if (done) return;
      bytes += value.length;
      isSlow = bytes > PROMPT && value.length < LARGE;
      yield value;
    }
  } finally {
    await pieces.return?.();
  }
}

/** Whether a piece, or the end, need not be waited for. Never throws. */
async function isThere(next: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  next.then(settle, settle);
  for (let turn = 0; turn < TURNS && !isSettled; turn++) await new Promise(setImmediate);
  return isSettled;
}
