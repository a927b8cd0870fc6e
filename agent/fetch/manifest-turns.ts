import { bitmapOf } from '../../protocol/bitmap.ts';
import type { Digest } from '../../protocol/digest.ts';
import { Change } from './change.ts';
import type { Swarm } from './ports.ts';
import type { Sharing, Taker } from './sharing.ts';

/**
 * How long the lease of a manifest that has just come is kept: nobody else may be granted it before all have heard who
 * holds it, which is told within 50 ms. Milliseconds.
 */
const LINGER = 100;

/** Neighbours that got no manifest from upstream, after which nobody waits for another: it is missing, or denied to all. */
const MOST_FAILURES = 2;

/** A request's place in the turn of its digest. */
export interface Place {
  /** Whether upstream may be asked now. */
  readonly isOurs: boolean;
  /** Waits for {@link isOurs} to change, at most `ms` milliseconds, or until `signal` fires; never rejects. */
  changed(signal: AbortSignal, ms: number): Promise<void>;
  /** Leaves it to the next. @param isHeld whether the manifest came from upstream and is in the store now */
  leave(isHeld: boolean): void;
}

/** Who asks upstream for a manifest: of the LAN one agent at a time, of that agent's repositories one after the other. */
export class ManifestTurns {
  readonly #swarm: Swarm;
  readonly #sharing: Sharing;
  readonly #turns = new Map<Digest, Turn>();

  /** @param stopped ends what lingers */
  constructor(swarm: Swarm, sharing: Sharing, stopped: AbortSignal) {
    this.#swarm = swarm;
    this.#sharing = sharing;
    stopped.addEventListener('abort', () => {
      for (const turn of this.#turns.values()) turn.stop();
    });
  }

  /** undefined where there is nobody to wait for; the caller leaves the place. */
  enter(digest: Digest): Place | undefined {
    if (this.#swarm.neighbours().length === 0) return undefined;
    let turn = this.#turns.get(digest);
    if (turn === undefined) {
      // The manifest's digest was asked for as a blob's: those rules are at work already.
      if (this.#sharing.takerOf(digest) !== undefined) return undefined;
      turn = new Turn(digest, this.#sharing, () => this.#turns.delete(digest));
      this.#turns.set(digest, turn);
      turn.begin();
    }
    return turn.enter();
  }
}

/** This agent's part in one manifest that is shared: of unknown size, and so one chunk that is never given as such. */
class Turn implements Taker {
  readonly #digest: Digest;
  readonly #sharing: Sharing;
  readonly #onEnd: () => void;
  readonly #change = new Change();
  /** In the order in which they came. */
  readonly #places = new Set<Place>();
  #isGranted = false;
  #isStuck = false;
  #failures = 0;
  #lingering: NodeJS.Timeout | undefined;

  constructor(digest: Digest, sharing: Sharing, onEnd: () => void) {
    this.#digest = digest;
    this.#sharing = sharing;
    this.#onEnd = onEnd;
  }

  begin(): void {
    const none = bitmapOf(1);
    const wanted = { have: none, marked: bitmapOf(1), searchUntil: Number.NEGATIVE_INFINITY, first: 0 };
    this.#sharing.join(this.#digest, null, wanted, this);
  }

  enter(): Place {
    clearTimeout(this.#lingering);
    const turn = this;
    const place: Place = {
      get isOurs() {
        return turn.#isOf(place);
      },
      changed: (signal, ms) => this.#change.next(signal, ms),
      leave: (isHeld) => this.#leave(place, isHeld),
    };
    this.#places.add(place);
    return place;
  }

  stop(): void {
    clearTimeout(this.#lingering);
  }

  upstream(): void {
    this.#isGranted = true;
    this.#change.notify();
  }

  halt(): void {}

  stuck(): void {
    this.#isStuck = true;
    this.#change.notify();
  }

  leaves(peer: string): void {
    this.#sharing.on(this.#digest, (own) => {
      if (own.isFetching(peer)) this.#failures++;
    });
    // Whether it got the manifest shows where its holders are looked for.
    this.#change.notify();
  }

  /** Who says to give chunks of a manifest is not believed in this again. */
  take(peer: string, index: number): void {
    this.#sharing.on(this.#digest, (own, now) => own.answered(peer, index, 'failed', now));
  }

  cancel(): void {}

  async chunk(): Promise<undefined> {
    return undefined;
  }

  mark(): undefined {
    return undefined;
  }

  #isOf(place: Place): boolean {
    if (this.#isStuck || this.#failures >= MOST_FAILURES) return true;
    const [first] = this.#places;
    return this.#isGranted && first === place;
  }

  #leave(place: Place, isHeld: boolean): void {
    if (!this.#places.delete(place)) return;
    this.#change.notify();
    if (this.#places.size > 0) return;
    if (isHeld) this.#lingering = setTimeout(() => this.#end(), LINGER).unref();
    else this.#end();
  }

  #end(): void {
    this.#onEnd();
    if (this.#sharing.takerOf(this.#digest) === this) this.#sharing.leave(this.#digest, false);
  }
}
