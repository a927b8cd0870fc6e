import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROCESS = fileURLToPath(new URL('./main.ts', import.meta.url));

/** How the mirror fares. */
export interface MirrorState {
  /** Of its heap and what hangs on it, after a collection. */
  readonly bytes: number;
  /** Blobs opened and not closed. */
  readonly open: number;
  /** Its warnings and errors. */
  readonly log: readonly string[];
}

/** A mirror in a process of its own, so that its heap is nobody else's. */
export interface MirrorProcess {
  /** `host:port` each. */
  readonly addresses: readonly string[];
  /** Its state now. */
  state(): Promise<MirrorState>;
  /** Its state once the last connection is gone. */
  stateAtRest(): Promise<MirrorState>;
}

export async function startMirrorProcess(t: TestContext): Promise<MirrorProcess> {
  const child = fork(PROCESS, { execArgv: ['--expose-gc'] });
  t.after(() => child.kill());
  const gone = once(child, 'exit').then(([code]) => assert.fail(`the mirror ended with ${code}`));
  gone.catch(() => {});
  const answer = async () => (await Promise.race([once(child, 'message'), gone]))[0];
  const ask = async (question: string): Promise<MirrorState> => {
    child.send(question);
    return await answer();
  };
  const { addresses } = (await answer()) as { addresses: string[] };
  return { addresses, state: () => ask('state'), stateAtRest: () => ask('state at rest') };
}
