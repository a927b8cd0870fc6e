import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type HostOptions, writeConfig } from './host.ts';

const BIN = fileURLToPath(new URL('../../agent/cli/bin.ts', import.meta.url));

/** An agent in a process of its own, for what only a process can suffer. */
export interface AgentProcess {
  readonly child: ChildProcess;
  /** `http://host:port` */
  readonly mirror: string;
  readonly peerAddresses: string[];
  readonly peerId: string;
  /** Log lines, parsed. */
  readonly log: Record<string, unknown>[];
  /** Sends a signal and waits for the end. @returns the exit code, null where a signal ended it */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts `layerlan start` and waits until it is ready. @throws where it ends before */
export async function startAgentProcess(directory: string, options: HostOptions): Promise<AgentProcess> {
  const file = await writeConfig(directory, options);
  const child = spawn(process.execPath, [BIN, 'start', '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const log: Record<string, unknown>[] = [];
  let complaint = '';
  child.stderr.on('data', (text) => {
    complaint += text;
  });
  const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      log.push(line);
      if (line.msg === 'ready') resolve(line);
    });
    exited.then(
      ([code]) => reject(new Error(`the agent ended with ${code} before it was ready: ${complaint}`)),
      reject,
    );
  });
  const { mirror, peerId, peerAddresses } = (await ready) as {
    mirror: string[];
    peerId: string;
    peerAddresses: string[];
  };
  return {
    child,
    mirror: `http://${mirror[0]}`,
    peerId,
    peerAddresses,
    log,
    async end(signal) {
      child.kill(signal);
      const [code] = await exited;
      return code;
    },
  };
}
