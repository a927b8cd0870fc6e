import type { Terminal } from './terminal.ts';

/** How often a line is rewritten on a terminal. Milliseconds. */
const REWRITE_EVERY = 100;

/** How often there is a new line elsewhere: a log is not to be filled. Milliseconds. */
const LINE_EVERY = 5_000;

/** Takes the cursor to the beginning of the line, and empties it. */
const CLEAR = '\r\u001b[K';

/** How far long work has come, on stderr: the results are for stdout. */
export interface Progress {
  /** Says where it is; most of what is said too soon after the last is left out. */
  show(text: string): Promise<void>;
  /** Takes away what stands on the terminal, so that something else can be printed. */
  clear(): Promise<void>;
}

/** A line that is rewritten on a terminal, a line each few seconds elsewhere. */
export function createProgress(terminal: Terminal, now: () => number = () => performance.now()): Progress {
  const isTerminal = terminal.isTerminal === true;
  let shownAt = isTerminal ? Number.NEGATIVE_INFINITY : now();
  let isShown = false;
  return {
    async show(text) {
      if (now() - shownAt < (isTerminal ? REWRITE_EVERY : LINE_EVERY)) return;
      shownAt = now();
      isShown = isTerminal;
      // A line that wraps could not be rewritten.
      await terminal.err(isTerminal ? CLEAR + text.slice(0, (terminal.columns ?? 80) - 1) : `${text}\n`);
    },
    async clear() {
      if (isShown) await terminal.err(CLEAR);
      isShown = false;
    },
  };
}
