import type { Agenda } from './agenda.ts';

/** A connection to upstream. */
interface Flow {
  /** What the uplink has given to each that was there all along, when the piece that is waited for is complete. */
  doneAt: number;
  onDone: (() => void) | undefined;
}

export interface UplinkInit {
  /** bit/s */
  readonly rate: number;
  /** What one connection gets at most. bit/s @default no more than the uplink */
  readonly perConnection?: number;
  /** ms from a request to its first byte. @default 20 */
  readonly rtt?: number;
}

/** Of a line on which nothing comes: not nothing, by which nothing can be divided. Bytes a ms */
const STOPPED = 1e-6;

/** The line all share, fair among the connections that wait for bytes on it. */
export class Uplink {
  readonly rtt: number;
  /** Bytes that have crossed it. */
  carried = 0;
  readonly #agenda: Agenda;
  /** Bytes a ms. */
  #rate: number;
  readonly #perConnection: number;
  readonly #reading = new Set<Flow>();
  /** Bytes given so far to a flow that was there from the start. */
  #given = 0;
  #at = 0;
  #version = 0;

  constructor(agenda: Agenda, { rate, perConnection = rate, rtt = 20 }: UplinkInit) {
    this.#agenda = agenda;
    this.#rate = rate / 8_000;
    this.#perConnection = perConnection / 8_000;
    this.rtt = rtt;
  }

  /** For so long nothing crosses it. */
  stop(ms: number): void {
    const rate = this.#rate;
    this.#setRate(STOPPED);
    this.#agenda.after(ms, () => this.#setRate(rate));
  }

  open(): Flow {
    return { doneAt: 0, onDone: undefined };
  }

  /** Bytes a ms that each connection gets now. */
  get share(): number {
    return Math.min(this.#perConnection, this.#rate / Math.max(1, this.#reading.size));
  }

  /** The flow's next `bytes`; one read at a time. */
  read(flow: Flow, bytes: number, onDone: () => void): void {
    this.#advance();
    flow.doneAt = this.#given + bytes;
    flow.onDone = onDone;
    this.#reading.add(flow);
    this.#plan();
  }

  /** The request is given up. @param unread bytes still to come: of them, what is on its way comes for nothing */
  abort(flow: Flow, unread: number): void {
    this.#advance();
    this.carried += Math.min(unread, this.share * this.rtt);
    this.#reading.delete(flow);
    flow.onDone = undefined;
    this.#plan();
  }

  #setRate(rate: number): void {
    this.#advance();
    this.#rate = rate;
    this.#plan();
  }

  #advance(): void {
    const given = (this.#agenda.now - this.#at) * this.share;
    this.#at = this.#agenda.now;
    this.#given += given;
    this.carried += given * this.#reading.size;
  }

  #plan(): void {
    const version = ++this.#version;
    let soonest = Number.POSITIVE_INFINITY;
    for (const { doneAt } of this.#reading) soonest = Math.min(soonest, doneAt);
    if (soonest === Number.POSITIVE_INFINITY) return;
    this.#agenda.after(Math.max(0, (soonest - this.#given) / this.share), () => {
      if (version === this.#version) this.#deliver();
    });
  }

  #deliver(): void {
    this.#advance();
    const done: Flow[] = [];
    // Half a byte: what is added up in small steps is never quite even.
    for (const flow of this.#reading) if (flow.doneAt <= this.#given + 0.5) done.push(flow);
    for (const flow of done) this.#reading.delete(flow);
    this.#plan();
    for (const { onDone } of done) onDone?.();
  }
}

export type { Flow };
