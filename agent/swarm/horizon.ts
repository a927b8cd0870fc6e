/** How long a walk's finding counts: an agent nobody told us of may have joined since. ms */
export const HORIZON_TTL = 60_000;

/** Who met a stranger, who may have been about to become a neighbour, looks again after this. ms */
const STRANGER_TTL = 5_000;

/** What a walk through the DHT met. */
export interface Walk {
  /** Ids of all who were asked, or named in an answer. */
  readonly met: ReadonlySet<string>;
  /** It went to its end, and everybody who was asked answered. */
  readonly isWhole: boolean;
}

/**
 * Whether the DHT can name anybody who is not a neighbour. A walk asks every node it hears of, and each answers with
 * the k peers it knows nearest to the key: with fewer than k in all, with every one. So when a walk ended with fewer
 * than k, each of whom answered and each of whom is a neighbour, every node of the DHT is a neighbour; a record names a
 * node, or one that has left; and neighbours tell themselves what they hold: a walk for another blob would bring nothing.
 * In a larger fleet it sees only the k near its key: were one in ten of it no neighbour, it would miss them once in
 * eight times, and the next one finds out.
 *
 * That stays so until a walk meets a stranger, however old it is and whoever comes or goes: look-ups that walk because
 * they might find somebody cost twenty agents on two cores more than all else of a pull did. An old finding is looked
 * into again beside them. Pure; times in ms.
 */
export class Horizon {
  #isClosed = false;
  #foundAt: number | undefined;

  /** Whether there is nobody but neighbours. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether a walk is due although no look-up needs one. */
  isDue(now: number): boolean {
    if (this.#foundAt === undefined) return true;
    return now - this.#foundAt >= (this.#isClosed ? HORIZON_TTL : STRANGER_TTL);
  }

  /** @param isKnown whether a peer is a neighbour, or shut out */
  walked({ met, isWhole }: Walk, now: number, isKnown: (id: string) => boolean): void {
    const hasMetStranger = ![...met].every(isKnown);
    if (!hasMetStranger && (!isWhole || met.size === 0)) return;
    this.#isClosed = !hasMetStranger;
    this.#foundAt = now;
  }
}
