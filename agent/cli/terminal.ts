/** Where a command reads from and writes to: the process's own, or a test's. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Resolves when the text is on its way out of the process. */
  out(text: string): Promise<void>;
  err(text: string): Promise<void>;
}

export function processTerminal(): Terminal {
  return {
    env: process.env,
    out: (text) => write(process.stdout, text),
    err: (text) => write(process.stderr, text),
  };
}

function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  // A reader that left (`layerlan status | head -1`) is no failure of the command.
  stream.once('error', () => {});
  return new Promise((resolve) => stream.write(text, () => resolve()));
}
