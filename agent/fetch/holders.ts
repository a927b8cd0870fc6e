import { type ChunkMap, chunkHash } from '../../protocol/chunk-map.ts';
import type { Digest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';
import { addressesClaiming, type Candidate, mostClaimed } from './choice.ts';
import type { Holder, Offence, Swarm } from './ports.ts';

/** Holders one acquisition takes note of; more would not make it faster. */
const MAX_HOLDERS = 64;

interface Known {
  readonly holder: Holder;
  isUsable: boolean;
}

/** The peers that say they hold one blob, as the look-up finds them, and the chunk map that is trusted for now. */
export class Holders {
  readonly #swarm: Swarm;
  readonly #digest: Digest;
  readonly #size: number;
  readonly #changed: () => void;
  readonly #known = new Map<string, Known>();
  /** Who gave nothing, or nothing true, of what it takes too: it is no better as a holder. */
  readonly #failed = new Set<string>();
  #map: { readonly map: ChunkMap; readonly root: string } | undefined;
  /** Of a holder found first: asked for before it is adopted, since whoever takes from anybody needs one. */
  #early: { readonly holder: Holder; readonly map: Promise<ChunkMap>; isHere: boolean } | undefined;
  /** Of the look-up. */
  #signal: AbortSignal | undefined;
  /** Everybody who could be asked has answered. */
  done = false;

  constructor(swarm: Swarm, digest: Digest, size: number, changed: () => void) {
    this.#swarm = swarm;
    this.#digest = digest;
    this.#size = size;
    this.#changed = changed;
  }

  /** Starts the look-up. It ends by itself or with `signal`. Who told that they hold the blob is known at once. */
  look(signal: AbortSignal): void {
    if (!this.#swarm.hasNeighbours) {
      this.done = true;
      return;
    }
    this.#signal = signal;
    this.notice();
    this.#collect(signal).catch(() => {
      // A look-up that breaks has found whom it found.
      this.done = true;
      this.#changed();
    });
  }

  /** Takes note of neighbours that told since that they hold the blob. @returns whether any of them may be taken from */
  notice(): boolean {
    const come = this.#swarm.tellers(this.#digest).filter((holder) => this.#take(holder));
    if (come.length > 0) this.#changed();
    return come.some(({ peer }) => this.#known.get(peer)?.isUsable);
  }

  candidates(): Candidate[] {
    return [...this.#known.values()].map(({ holder, isUsable }) => ({
      peer: holder.peer,
      address: holder.address,
      root: holder.root,
      isUsable: isUsable && !this.#swarm.isBanned(holder.peer),
    }));
  }

  /** The chunk map most addresses claim, of those that somebody can still be taken from, and whom; undefined for none. */
  best(): { readonly root: string; readonly holders: readonly Holder[] } | undefined {
    const candidates = this.candidates();
    const usable = candidates.filter(({ isUsable }) => isUsable);
    const root = mostClaimed(usable, candidates);
    if (root === undefined) return undefined;
    const peers = new Set(usable.filter((candidate) => candidate.root === root).map(({ peer }) => peer));
    return {
      root,
      holders: [...this.#known.values()].map(({ holder }) => holder).filter(({ peer }) => peers.has(peer)),
    };
  }

  get(peer: string): Holder | undefined {
    return this.#known.get(peer)?.holder;
  }

  /** The map that `holder` claims, which from now on is the one that chunks are matched to. */
  async adopt(holder: Holder, signal: AbortSignal): Promise<ChunkMap> {
    if (this.#map?.root === holder.root) return this.#map.map;
    const early = this.#early;
    this.#early = undefined;
    // Another's, of the same root, is the same map, if it is here: this holder is not to wait for that one, nor be blamed.
    const isIt = early?.holder === holder || (early?.isHere === true && early.holder.root === holder.root);
    this.#map = { map: await (isIt ? early.map : holder.map(signal)), root: holder.root };
    return this.#map.map;
  }

  /** What `holder` says the chunks are, asked for now and not again when it is adopted. Ends with the look-up's signal. */
  mapOf(holder: Holder): Promise<ChunkMap> {
    const map = holder.map(this.#signal ?? AbortSignal.abort());
    const early = { holder, map, isHere: false };
    const arrived = (): void => {
      early.isHere = true;
    };
    // Whoever adopts it hears of what went wrong.
    map.then(arrived, () => {});
    this.#early = early;
    return map;
  }

  /**
   * Whether two addresses claim the map in use, one of whom was right before, and nobody who claims it was caught lying:
   * strangers' word is not enough to show a client bytes before the whole has matched, however many they are.
   */
  isCorroborated(wasRight: (peer: string) => boolean): boolean {
    const root = this.#map?.root;
    if (root === undefined) return false;
    const claimants = [...this.#known.values()].map(({ holder }) => holder).filter((holder) => holder.root === root);
    if (!claimants.some(({ peer }) => wasRight(peer))) return false;
    return addressesClaiming(root, claimants) >= 2 && claimants.every(({ peer }) => !this.#swarm.isBanned(peer));
  }

  /**
   * Whether chunk `index` is what the map in use says. One that came before the map did may rest on a liar's mark, and who
   * is wrong is still being asked upstream.
   */
  describes(index: number, sha256: Uint8Array | undefined): boolean {
    if (sha256 === undefined || this.#map === undefined) return false;
    return Buffer.compare(sha256, chunkHash(this.#map.map, index)) === 0;
  }

  /** Whether anybody who claims the map in use is such a one. */
  isClaimedBy(isSuch: (peer: string) => boolean): boolean {
    const root = this.#map?.root;
    for (const { holder } of this.#known.values()) if (holder.root === root && isSuch(holder.peer)) return true;
    return false;
  }

  /** Notes what a peer did instead of sending the chunk; it may be one that does not hold the whole. */
  failed(peer: string, error: unknown): void {
    const known = this.#known.get(peer);
    if (known !== undefined) known.isUsable = false;
    const offence = offenceOf(error);
    // Who only lacked a chunk may have all of them later.
    const isFinal = offence === 'lied' || offence === 'stalled';
    if (isFinal && this.#failed.size < MAX_HOLDERS) this.#failed.add(peer);
    if (offence !== undefined) this.#swarm.strike(peer, offence);
    this.#changed();
  }

  /** A chunk map that contradicts what is known to be so: nobody who claims it is taken from. */
  setAside(root: string): void {
    for (const known of this.#known.values()) if (known.holder.root === root) known.isUsable = false;
    if (this.#map?.root === root) this.#map = undefined;
    this.#changed();
  }

  /**
   * The whole did not match: those who claimed the map in use are not asked again for this blob. Gives the peers that
   * are proved to have lied.
   */
  dropMap(isFalse: boolean): string[] {
    const root = this.#map?.root;
    this.#map = undefined;
    const claimants = [...this.#known.values()].filter(({ holder }) => holder.root === root);
    for (const known of claimants) known.isUsable = false;
    return isFalse ? claimants.map(({ holder }) => holder.peer) : [];
  }

  async #collect(signal: AbortSignal): Promise<void> {
    for await (const holder of this.#swarm.holders(this.#digest, signal)) {
      const isNew = this.#take(holder);
      if (isNew) this.#changed();
      if (this.#known.size >= MAX_HOLDERS) break;
    }
    this.done = true;
    this.#changed();
  }

  /** False where it tells nothing new. */
  #take(holder: Holder): boolean {
    // The size is upstream's or a verified manifest's: who claims another has another blob.
    if (holder.size !== this.#size || this.#known.has(holder.peer) || this.#known.size >= MAX_HOLDERS) return false;
    this.#known.set(holder.peer, { holder, isUsable: !this.#failed.has(holder.peer) });
    return true;
  }
}

/** The offence in an error, where there is one; `garbage` is noted where frames are read. */
function offenceOf(error: unknown): Offence | undefined {
  if (isAgentError(error, 'DIGEST_MISMATCH')) return 'lied';
  if (isAgentError(error, 'PEER_STALLED')) return 'stalled';
  if (isAgentError(error, 'PEER_MISSING')) return 'missing';
  return undefined;
}
