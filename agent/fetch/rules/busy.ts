/** A chunk that its peer gives to somebody else is asked for again after this. ms */
const BUSY_PAUSE = 30;

/** The longest a peer that says nothing but "busy" is left alone. ms */
const LONGEST_PAUSE = 500;

/** More of them in a row are of the peer: one chunk that is on its way to somebody else says nothing of the others. */
const IN_A_ROW = 4;

/** For so long a peer that was busy counts as one that serves others too. ms */
const SHARED_FOR = 10_000;

/** Peers that said "busy", and how long they are left alone for it. Pure; ms. */
export class Busy {
  readonly #times = new Map<string, number>();
  readonly #pauses = new Map<string, number>();
  readonly #chunkPauses = new Map<string, number>();
  #saidAt = Number.NEGATIVE_INFINITY;

  /** @param underWay how many more it is asked for just now */
  said(peer: string, index: number, underWay: number, now: number): void {
    this.#saidAt = now;
    // Eight that were asked for at once and are refused say no more than four.
    const times = (this.#times.get(peer) ?? 0) + (underWay < IN_A_ROW ? 1 : 0);
    this.#times.set(peer, times);
    this.#chunkPauses.set(chunkOf(peer, index), now + BUSY_PAUSE);
    if (times <= IN_A_ROW) return;
    this.#pauses.set(peer, now + Math.min(LONGEST_PAUSE, BUSY_PAUSE * 2 ** (times - IN_A_ROW)));
  }

  /** It gave a chunk. */
  gave(peer: string): void {
    this.#times.delete(peer);
    this.#pauses.delete(peer);
  }

  mayAsk(peer: string, index: number, now: number): boolean {
    return (this.#pauses.get(peer) ?? 0) <= now && (this.#chunkPauses.get(chunkOf(peer, index)) ?? 0) <= now;
  }

  /** Whether whoever is asked served others too a short time ago. */
  isShared(now: number): boolean {
    return now - this.#saidAt < SHARED_FOR;
  }

  /** When the next pause ends. */
  dueAt(now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const pauses of [this.#chunkPauses, this.#pauses]) {
      for (const [key, until] of pauses) {
        if (until <= now) pauses.delete(key);
        else at = Math.min(at, until);
      }
    }
    return at;
  }
}

function chunkOf(peer: string, index: number): string {
  return `${peer}/${index}`;
}
