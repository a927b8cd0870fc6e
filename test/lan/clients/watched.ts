import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startProcess } from '../process.ts';
import { until } from '../until.ts';
import type { StartClient } from './client.ts';

const PROXY = fileURLToPath(new URL('../answers-proxy.ts', import.meta.url));

/** Where the client finds the proxy, on its own host. */
const PORT = 5056;

/** What a client asked the agent for, and what went to the client of the answer. */
export interface Answer {
  readonly method: string;
  readonly path: string;
  /** Range, as the client sent it. */
  readonly range: string | null;
  readonly status: number;
  /** Bytes of the body. */
  readonly sent: number;
  /** Milliseconds of one clock: when it was asked for, and when the body ended or the client had enough. */
  readonly begun: number;
  readonly ended: number;
}

export interface Watch {
  /** The client, set up to reach the agent through a proxy that writes down what passes. */
  readonly start: StartClient;
  /** Answers to GETs of a blob, in the order in which they began. */
  blobAnswers(digest: string): Promise<Answer[]>;
}

/** @param cut digest of a blob whose first whole answer is to end short in its middle */
export function watched(start: StartClient, { cut }: { readonly cut?: string } = {}): Watch {
  let log: string | undefined;
  return {
    start: async (init) => {
      log = `${init.log}.answers`;
      const written = log;
      const argv = [...init.space.enter, process.execPath, PROXY, String(PORT), new URL(`http://${init.mirror}`).port];
      const proxy = await startProcess({ argv: cut === undefined ? argv : [...argv, cut], stdout: written });
      try {
        await until('the proxy listens', async () => (await readFile(written, 'utf8')).startsWith('ready\n'), {
          timeout: 30_000,
        });
        const client = await start({ ...init, mirror: `127.0.0.1:${PORT}` });
        return {
          ...client,
          stop: async () => {
            await client.stop().finally(() => proxy.stop());
          },
        };
      } catch (error) {
        await proxy.stop();
        throw error;
      }
    },
    blobAnswers: async (digest) => {
      if (log === undefined) throw new Error('the client was not started');
      return (await readFile(log, 'utf8'))
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line): Answer => JSON.parse(line))
        .filter(({ method, path }) => method === 'GET' && path.includes(`/blobs/${digest}`))
        .sort((a, b) => a.begun - b.begun);
    },
  };
}

/** How many of `answers` were under way at the same moment, at most. */
export function mostAtOnce(answers: readonly Answer[]): number {
  return Math.max(
    0,
    ...answers.map(({ begun }) => answers.filter((other) => other.begun <= begun && begun < other.ended).length),
  );
}
