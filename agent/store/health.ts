import type { Logger } from 'pino';
import { AgentError, isAgentError } from '../errors.ts';
import { asFailing, codeOf } from './failing.ts';

/**
 * How long a failing store is left alone: each pull that tried it would wait for the disk's own time-outs. Short, since
 * what is pulled meanwhile is not kept. Milliseconds.
 */
const PAUSE = 5_000;

/** How long it is not told again that the store is full or failing: one that comes and goes would fill the log. Milliseconds. */
const QUIET = 600_000;

/** What the system says where the disk, or a quota on it, takes no more. */
const NO_SPACE: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT'];

const STATES = ['ok', 'full', 'failing'] as const;

export interface StoreState {
  /** `full`: the last thing to be stored had no room; `failing`: the last write failed. */
  readonly state: (typeof STATES)[number];
  /** Since when. Milliseconds since the epoch. */
  readonly since: number;
  /** The system's code where it is failing: ENOSPC, EIO …, else null. */
  readonly code: string | null;
  /** What was wrong, in a line; null where nothing is. */
  readonly reason: string | null;
}

/** What the state counts into; prom-client's gauge fits. */
export interface HealthMetrics {
  readonly storeState: { set(labels: { state: StoreState['state'] }, value: number): void };
}

/** Whether things can be stored. Told in the log when it changes, not for every pull. */
export class Health {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #metrics: HealthMetrics | undefined;
  readonly #onNoSpace: () => void;
  #state: StoreState;
  /** When which state was told last. Milliseconds since the epoch. */
  readonly #told = new Map<StoreState['state'], number>();
  /** Whether it was told that something is wrong, and not yet that it is over. */
  #isTold = false;
  /** When a write failed last. Milliseconds since the epoch. */
  #failedAt = 0;

  /** @param onNoSpace told when the disk takes no more, whatever it said was free */
  constructor(logger: Logger, now: () => number, metrics: HealthMetrics | undefined, onNoSpace: () => void) {
    this.#onNoSpace = onNoSpace;
    this.#logger = logger;
    this.#now = now;
    this.#metrics = metrics;
    this.#state = { state: 'ok', since: now(), code: null, reason: null };
    this.#show();
  }

  get state(): StoreState {
    return this.#state;
  }

  /** @throws AgentError STORE_FAILING while it is left alone */
  assertTried(): void {
    // A clock that was set back must not keep the store from being tried.
    if (this.#state.state !== 'failing' || Math.abs(this.#now() - this.#failedAt) >= PAUSE) return;
    throw new AgentError('STORE_FAILING', this.#state.reason!);
  }

  stored(): void {
    if (!this.#change('ok', null, null) || !this.#isTold) return;
    this.#isTold = false;
    this.#logger.info('the store stores again');
  }

  /**
   * Runs what may write, and notes how it ended.
   * @throws AgentError STORE_FAILING in place of what the system or SQLite threw; whatever else `work` threw
   */
  async watch<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (isAgentError(error, 'STORE_FULL')) this.#full(error);
      throw this.failed(error);
    }
  }

  /** The same for what does not wait. */
  watchNow<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** Notes a failure of the disk; what is none passes. @returns the error to be thrown */
  failed(error: unknown): unknown {
    const told = asFailing('written', error);
    if (!isAgentError(told, 'STORE_FAILING')) return error;
    const code = codeOf(told.cause) ?? null;
    this.#failedAt = this.#now();
    if (NO_SPACE.includes(code ?? undefined)) this.#onNoSpace();
    const reason = code === null ? told.message : `the store cannot be written (${code})`;
    if (this.#change('failing', code, reason) && this.#isNews('failing')) {
      this.#logger.error({ err: error, code }, 'the store fails; what is pulled meanwhile is not kept');
    }
    return told;
  }

  #full(error: AgentError): void {
    // What fails is worse than what is full, and ends with a write that succeeds.
    if (this.#state.state === 'failing') return;
    if (this.#change('full', null, error.message) && this.#isNews('full')) {
      this.#logger.warn({ reason: error.message }, 'the store is full and nothing in it may go');
    }
  }

  #isNews(state: StoreState['state']): boolean {
    const before = this.#told.get(state);
    if (before !== undefined && Math.abs(this.#now() - before) < QUIET) return false;
    this.#told.set(state, this.#now());
    this.#isTold = true;
    return true;
  }

  /** @returns whether it is another state now */
  #change(state: StoreState['state'], code: string | null, reason: string | null): boolean {
    const isNew = this.#state.state !== state;
    this.#state = { state, since: isNew ? this.#now() : this.#state.since, code, reason };
    if (isNew) this.#show();
    return isNew;
  }

  #show(): void {
    for (const state of STATES) this.#metrics?.storeState.set({ state }, state === this.#state.state ? 1 : 0);
  }
}
