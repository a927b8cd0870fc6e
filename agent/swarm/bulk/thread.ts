import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { AgentError } from '../../errors.ts';
import type { FromThread, SharedBytes, ToThread } from './thread/messages.ts';

/** How long after its death the thread is started again; doubled each time, up to {@link LONGEST_PAUSE}. ms */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 300_000;

/** Sockets, and a few messages: by default V8 lets their garbage grow to tens of MiB before it looks at it. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 };

/** `.ts` where the agent runs from its sources, `.js` where it was built: nothing rewrites what is in a string. */
const ENTRY = new URL(`./thread/main.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/** Who follows what becomes of one lane or connection. */
export interface Follower {
  /** Bytes moved. */
  moved(bytes: number): void;
  closed(reason: string, isGarbage: boolean): void;
  opened?(): void;
  taken?(tag: number, sha256: Uint8Array | undefined): void;
  sent?(id: number): void;
}

type Call = { resolve(answer: Extract<FromThread, { kind: 'answer' }>): void; reject(error: AgentError): void };
type WithoutCall<Message> = Message extends unknown ? Omit<Message, 'call'> : never;

/** The main thread's side of the bulk thread, which is started by its first use and again when it has died. */
export class BulkThread {
  readonly #logger: Logger;
  readonly #onJoined: (connection: number, peer: string) => void;
  readonly #onLost: () => void;
  readonly #calls = new Map<number, Call>();
  readonly #followers = new Map<number, Follower>();
  #worker: Worker | undefined;
  #lastCall = 0;
  #lastLane = 0;
  #pause = FIRST_PAUSE;
  #notBefore = 0;
  #closed = false;

  /**
   * @param onJoined told of each peer that has connected; it is to be followed at once
   * @param onLost told when the thread has died, and with it every lane and whatever listened
   */
  constructor(logger: Logger, onJoined: (connection: number, peer: string) => void, onLost: () => void) {
    this.#logger = logger;
    this.#onJoined = onJoined;
    this.#onLost = onLost;
  }

  /** Listens on an address. @returns the port @throws AgentError ADDRESS_IN_USE, ADDRESS_UNUSABLE, PEER_UNREACHABLE */
  async listen(host: string, port: number): Promise<number> {
    const answer = await this.#call({ kind: 'listen', host, port });
    if (answer.error === undefined) return answer.port ?? port;
    const code = answer.error === 'EADDRINUSE' ? 'ADDRESS_IN_USE' : 'ADDRESS_UNUSABLE';
    throw new AgentError(code, `peers.bulk.listen: cannot listen on ${host} port ${port}: ${answer.error}`);
  }

  /** From now on whoever shows `ticket` is `peer`. */
  async expect(ticket: string, key: Uint8Array, peer: string): Promise<void> {
    await this.#call({ kind: 'expect', ticket, key, peer });
  }

  /** Opens a lane. @returns its number @throws AgentError PEER_UNREACHABLE where the thread has died lately */
  dial(dial: Omit<Extract<ToThread, { kind: 'dial' }>, 'kind' | 'lane'>, follower: Follower): number {
    const lane = ++this.#lastLane;
    this.#post({ kind: 'dial', lane, ...dial });
    this.#followers.set(lane, follower);
    return lane;
  }

  follow(connection: number, follower: Follower): void {
    this.#followers.set(connection, follower);
  }

  take(lane: number, tag: number, into: SharedBytes, allowed: number): void {
    this.#post({ kind: 'take', lane, tag, into, allowed });
  }

  allow(lane: number, bytes: number): void {
    this.#post({ kind: 'allow', lane, bytes });
  }

  abandon(lane: number, tag: number): void {
    this.#post({ kind: 'abandon', lane, tag });
  }

  /** Resolves when the thread leaves the body's memory alone, also where that is because it has died. */
  async cancel(lane: number, tag: number): Promise<void> {
    await this.#call({ kind: 'cancel', lane, tag }).catch(() => {});
  }

  send(connection: number, id: number, bytes: SharedBytes): void {
    this.#post({ kind: 'send', connection, id, bytes });
  }

  /** Ends a lane or connection; its follower is told once that is so. */
  end(which: number, reason: string): void {
    if (this.#followers.has(which)) this.#post({ kind: 'close', which, reason });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
    this.#lost('the agent stops');
  }

  #call(message: WithoutCall<Extract<ToThread, { call: number }>>) {
    const call = ++this.#lastCall;
    return new Promise<Extract<FromThread, { kind: 'answer' }>>((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      try {
        this.#post({ ...message, call } as ToThread);
      } catch (error) {
        this.#calls.delete(call);
        reject(error as AgentError);
      }
    });
  }

  #post(message: ToThread): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(message);
  }

  #start(): Worker {
    if (this.#closed) throw new AgentError('PEER_UNREACHABLE', 'the agent stops');
    if (performance.now() < this.#notBefore) throw new AgentError('PEER_UNREACHABLE', 'the bulk thread has died');
    const worker = new Worker(ENTRY, { name: 'bulk', resourceLimits: THREAD_LIMITS, stdout: false, stderr: false });
    // By itself it keeps no process alive.
    worker.unref();
    worker.on('message', (message: FromThread) => {
      // Its last words may come after its death, of lanes that nobody would ever tell the end of.
      if (this.#worker === worker) this.#heard(message);
    });
    const died = (error?: unknown): void => {
      if (this.#worker !== worker) return;
      this.#notBefore = performance.now() + this.#pause;
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
      if (!this.#closed) this.#logger.error({ err: error }, 'the bulk thread died; chunks go by libp2p meanwhile');
      this.#lost('the bulk thread died');
    };
    worker.once('error', died);
    worker.once('exit', () => died());
    return worker;
  }

  #heard(message: FromThread): void {
    switch (message.kind) {
      case 'answer':
        this.#calls.get(message.call)?.resolve(message);
        this.#calls.delete(message.call);
        break;
      case 'joined':
        this.#onJoined(message.connection, message.peer);
        break;
      case 'open':
        this.#followers.get(message.lane)?.opened?.();
        break;
      case 'taken':
        // A body went its way: it works again. The same where it is sent.
        this.#pause = FIRST_PAUSE;
        this.#followers.get(message.lane)?.taken?.(message.tag, message.sha256);
        break;
      case 'sent':
        this.#pause = FIRST_PAUSE;
        this.#followers.get(message.connection)?.sent?.(message.id);
        break;
      case 'moved':
        this.#followers.get(message.which)?.moved(message.bytes);
        break;
      case 'closed': {
        const follower = this.#followers.get(message.which);
        this.#followers.delete(message.which);
        follower?.closed(message.reason, message.isGarbage);
      }
    }
  }

  #lost(reason: string): void {
    this.#worker = undefined;
    const [calls, followers] = [[...this.#calls.values()], [...this.#followers.values()]];
    this.#calls.clear();
    this.#followers.clear();
    for (const { reject } of calls) reject(new AgentError('PEER_UNREACHABLE', reason));
    for (const follower of followers) follower.closed(reason, false);
    if (!this.#closed) this.#onLost();
  }
}
