/** A ticket not used for so long is dead. ms */
export const TICKET_LIFETIME = 10_000;

/** Tickets that wait to be used, one a peer; of more, the oldest go. */
const MAX_TICKETS = 1_024;

interface Ticket {
  readonly key: Uint8Array;
  readonly peer: string;
  readonly since: number;
}

/** Who may connect: each ticket is good for one connection of one peer, soon. Times in ms of one clock. */
export class Tickets {
  readonly #waiting = new Map<string, Ticket>();

  /** A peer's earlier ticket, not yet used, is good no longer. */
  add(name: string, key: Uint8Array, peer: string, now: number): void {
    for (const [old, ticket] of this.#waiting) {
      // One a peer, or whoever asks for many would push out the others'.
      const isOver = now - ticket.since >= TICKET_LIFETIME || ticket.peer === peer;
      if (isOver || this.#waiting.size >= MAX_TICKETS) this.#waiting.delete(old);
    }
    this.#waiting.set(name, { key, peer, since: now });
  }

  /** How many wait to be used, those that are too late among them. */
  get size(): number {
    return this.#waiting.size;
  }

  /** The ticket's key and peer; it is used up by that. */
  use(name: string, now: number): { readonly key: Uint8Array; readonly peer: string } | undefined {
    const ticket = this.#waiting.get(name);
    this.#waiting.delete(name);
    return ticket !== undefined && now - ticket.since < TICKET_LIFETIME ? ticket : undefined;
  }
}
