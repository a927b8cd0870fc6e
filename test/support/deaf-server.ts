import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

/** A server that can lose its network without root: while frozen it neither reads, answers nor accepts. */
export interface DeafServer {
  readonly url: string;
  /**
   * Stops the whole server in place, and fills the kernel's queue of connections nobody accepts: from here on SYNs are
   * dropped, as if a cable were cut. Open connections stay open and silent.
   */
  freeze(): Promise<void>;
  /** Lets it run on. */
  thaw(): void;
  close(): Promise<void>;
}

/** More than the queue of a backlog of one takes in. */
const FILLERS = 4;

/** Answers every request with 200 and a few bytes. */
export async function startDeafServer(): Promise<DeafServer> {
  const frozen = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./deaf-worker.ts', import.meta.url), { workerData: frozen });
  const fillers: Socket[] = [];
  const [port] = (await once(worker, 'message')) as [number];
  const thaw = (): void => {
    Atomics.store(frozen, 0, 0);
    Atomics.notify(frozen, 0);
    for (const filler of fillers.splice(0)) filler.destroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    async freeze() {
      Atomics.store(frozen, 0, 1);
      const isFrozen = once(worker, 'message');
      worker.postMessage('freeze');
      await isFrozen;
      for (let index = 0; index < FILLERS; index++) {
        const filler = connect(port, '127.0.0.1').on('error', () => {});
        fillers.push(filler);
      }
      // The queue is full once the first of them are connected; the last stay waiting.
      await Promise.race(fillers.map((filler) => once(filler, 'connect')));
    },
    thaw,
    async close() {
      thaw();
      await worker.terminate();
    },
  };
}
