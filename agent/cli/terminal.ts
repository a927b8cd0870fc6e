/** Where a command reads from and writes to: the process's own, or a test's. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Resolves when the text is on its way out of the process. */
  out(text: string): Promise<void>;
  err(text: string): Promise<void>;
  /**
   * Whether somebody looks on at what goes to {@link err}.
   * @default false
   */
  readonly isTerminal?: boolean;
  /** Of that terminal. @default 80 */
  readonly columns?: number;
}

export function processTerminal(): Terminal {
  return {
    env: process.env,
    isTerminal: process.stderr.isTTY === true,
    ...(process.stderr.isTTY && { columns: process.stderr.columns }),
    out: (text) => write(process.stdout, text),
    err: (text) => write(process.stderr, text),
  };
}

/** A reader that left (`layerlan status | head -1`) is no failure of the command. */
const ignore = (): void => {};

function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  // One for all lines: of each further one Node would warn as of a leak. It comes after the write's own callback.
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  return new Promise((resolve) => stream.write(text, () => resolve()));
}
