import { hasBit } from '../../../protocol/bitmap.ts';
import { Busy } from './busy.ts';
import { mixed } from './mixed.ts';
import { RecentTimes } from './recent-times.ts';
import type { Table } from './table.ts';

/** Requests to one peer at a time. */
const PER_PEER = 2;

/** And where there are at most two to ask: one on the wire, one being verified, one being written, one on its way. */
const PER_PEER_OF_FEW = 4;

/** And to the only one, where it has not been busy: two of each, so that neither end waits for the other. */
const PER_ONLY_PEER = 8;

/** Missing chunks that are looked at in one go: a large blob's choice must not cost more than its chunk. */
const LOOKED_AT = 512;

/** Of what is missing, the part from which chunks are taken while a client is shown them as they come. */
const WINDOW = 0.45;

/** A peer that takes this many times as long as most is slow: it is asked for what nobody else has, one at a time. */
const SLOW = 4;

/** And no peer is slow that takes no longer than this. ms */
const NEVER_SLOW = 500;

/** An agent whose requests mostly take this long has a slow line itself. ms */
const LAGGING = 1_000;

/** What its requests should take: with more of them at a time, each takes but longer. ms */
const WANTED_TIME = 500;

/** The least time after which a request that is not answered may be put to another peer as well. ms */
const HEDGE_AFTER = 2_000;

/** A chunk to be taken from a peer. */
export interface Request {
  readonly peer: string;
  readonly index: number;
}

interface UnderWay extends Request {
  readonly since: number;
}

/** What the choice rests on besides the table. */
export interface Wanting {
  /** Neighbours that hold the whole blob. */
  readonly holders: ReadonlySet<string>;
  /** Requests in all. */
  readonly lanes: number;
  /** The chunk a client waits for. */
  readonly first: number;
  /** Whether a client is shown chunks from peers as they come, so that early ones are worth more. */
  readonly streams: boolean;
  /** Whether this agent takes the chunk from upstream, now or next. */
  isLeased(index: number): boolean;
  /** Whether upstream is sending it just now: a copy from a peer would come for nothing. */
  isArriving(index: number): boolean;
}

/** Which chunk is asked of which peer: the rarest first, in order where nobody else takes the blob. Pure; ms. */
export class Requests {
  readonly #table: Table;
  readonly #seed: number;
  readonly #underWay = new Map<number, UnderWay[]>();
  readonly #load = new Map<string, number>();
  readonly #busy = new Busy();
  #inAll = 0;
  /** Whether others had something, when last looked at, that is not under way yet. */
  #isOffered = false;
  /** How long chunks from peers take. */
  readonly #times = new RecentTimes();
  /** How long those of one peer take, smoothed. ms */
  readonly #paces = new Map<string, number>();

  /** @param seed differs from agent to agent, so that they do not all ask for the same chunks */
  constructor(table: Table, seed: number) {
    this.#table = table;
    this.#seed = seed;
  }

  get count(): number {
    return this.#inAll;
  }

  get isOffered(): boolean {
    return this.#isOffered;
  }

  /** What to ask for now; it counts as asked. */
  next(wanting: Wanting, now: number): Request[] {
    const chosen: Request[] = [];
    const isLagging = this.#isLagging(now);
    const lanes = isLagging ? this.#fewer(wanting.lanes) : wanting.lanes;
    if (this.#inAll >= lanes) return chosen;
    const perPeer = this.#perPeer(wanting, now);
    const slow = this.#slow(now);
    if (slow.size > 0) this.#hedge(wanting, perPeer, slow, now, chosen);
    const candidates = this.#candidates(wanting, isLagging);
    this.#isOffered = candidates.length > 0;
    for (const index of candidates) {
      if (this.#inAll >= lanes) break;
      const peer = this.#peerFor(index, wanting, perPeer, slow, now);
      if (peer !== undefined) chosen.push(this.#begin(peer, index, now));
    }
    return chosen;
  }

  /** A chunk was asked for without being chosen here. */
  began({ peer, index }: Request, now: number): void {
    this.#begin(peer, index, now);
  }

  /** The chunk has come, or never will from this peer. */
  ended(peer: string, index: number, outcome: 'done' | 'busy' | 'failed', now: number): void {
    const asked = this.#underWay.get(index);
    const at = asked?.findIndex((each) => each.peer === peer) ?? -1;
    if (asked === undefined || at < 0) return;
    const [request] = asked.splice(at, 1);
    if (asked.length === 0) this.#underWay.delete(index);
    this.#inAll -= 1;
    const load = (this.#load.get(peer) ?? 1) - 1;
    this.#load.set(peer, load);
    if (outcome === 'done') {
      const took = now - (request as UnderWay).since;
      this.#times.note(took);
      this.#paces.set(peer, (this.#paces.get(peer) ?? took) * 0.7 + took * 0.3);
      this.#busy.gave(peer);
    } else if (outcome === 'busy') {
      this.#busy.said(peer, index, load, now);
    }
  }

  /** Who has been asked for the chunk. */
  peersAskedFor(index: number): string[] {
    return this.#underWay.get(index)?.map(({ peer }) => peer) ?? [];
  }

  /** When a pause ends, or a request becomes overdue. */
  dueAt(now: number): number {
    let at = this.#busy.dueAt(now);
    for (const asked of this.#underWay.values()) {
      const [first] = asked;
      if (first !== undefined && asked.length === 1 && first.since + this.#patience > now) {
        at = Math.min(at, first.since + this.#patience);
      }
    }
    return at;
  }

  get #patience(): number {
    return Math.max(HEDGE_AFTER, SLOW * (this.#times.median ?? 0));
  }

  /** Whether it is this agent's own line that is slow. */
  #isLagging(now: number): boolean {
    if ((this.#times.median ?? 0) > LAGGING) return true;
    let late = 0;
    for (const [first] of this.#underWay.values()) if (first !== undefined && now - first.since > LAGGING) late++;
    return late > 2 && late * 2 > this.#underWay.size;
  }

  /** So many requests that each takes about {@link WANTED_TIME}. */
  #fewer(lanes: number): number {
    return Math.max(2, Math.floor((lanes * WANTED_TIME) / (this.#times.median ?? LAGGING)));
  }

  /** Whose chunks take far longer than others', or who is asked for one for as long already. */
  #slow(now: number): Set<string> {
    const { median } = this.#times;
    // Where none has come yet, who was asked first may be the one that gives nothing.
    const bound = median === undefined ? HEDGE_AFTER : Math.max(NEVER_SLOW, SLOW * median);
    const slow = new Set<string>();
    for (const [peer, pace] of this.#paces) if (pace > bound) slow.add(peer);
    for (const asked of this.#underWay.values()) {
      for (const { peer, since } of asked) if (now - since >= bound) slow.add(peer);
    }
    return slow;
  }

  #begin(peer: string, index: number, now: number): Request {
    const request = { peer, index, since: now };
    const asked = this.#underWay.get(index);
    if (asked === undefined) this.#underWay.set(index, [request]);
    else asked.push(request);
    this.#load.set(peer, (this.#load.get(peer) ?? 0) + 1);
    this.#inAll += 1;
    return request;
  }

  #perPeer({ holders }: Wanting, now: number): number {
    const sources = holders.size + this.#table.others.size;
    if (sources > 2) return PER_PEER;
    return sources === 1 && !this.#busy.isShared(now) ? PER_ONLY_PEER : PER_PEER_OF_FEW;
  }

  /** Missing chunks that somebody has, the one to take first in front. */
  #candidates(wanting: Wanting, isLagging: boolean): number[] {
    const { rarity, own, count } = this.#table;
    const { first, holders, streams } = wanting;
    const found: number[] = [];
    let missing = 0;
    for (let step = 0; step < count && found.length < LOOKED_AT; step++) {
      const index = first + step < count ? first + step : first + step - count;
      if (hasBit(own.have, index)) continue;
      missing++;
      if ((rarity[index] as number) + holders.size === 0 || this.#underWay.has(index) || wanting.isArriving(index))
        continue;
      if (wanting.isLeased(index) && (rarity[index] as number) === 0) continue;
      found.push(index);
    }
    // Alone with those who have it all, there is nobody to be of use to but the client.
    if (this.#table.others.size === 0) return found;
    if (streams) {
      const last = found.findIndex((_, at) => at >= Math.max(1, Math.ceil(missing * WINDOW)));
      if (last > 0) found.length = last;
    }
    // What comes to this agent first goes no further soon, and its sender keeps it from others meanwhile.
    const sign = isLagging ? -1 : 1;
    const keys = new Map(
      found.map((index) => [index, sign * (rarity[index] as number) * 2 ** 32 + mixed(index, this.#seed)]),
    );
    return found.sort((a, b) => (keys.get(a) as number) - (keys.get(b) as number));
  }

  /** The least loaded of those that have the chunk and may be asked. */
  #peerFor(
    index: number,
    { holders }: Wanting,
    perPeer: number,
    slow: ReadonlySet<string>,
    now: number,
  ): string | undefined {
    let best: string | undefined;
    let hasQuick = false;
    let least = perPeer;
    let tie = Number.POSITIVE_INFINITY;
    const asked = this.#underWay.get(index);
    const consider = (peer: string, place: number): void => {
      const load = this.#load.get(peer) ?? 0;
      if (slow.has(peer) !== isSlow) return;
      hasQuick ||= !isSlow;
      if (load > least || load >= (isSlow ? 1 : perPeer) || !this.#busy.mayAsk(peer, index, now)) return;
      if (asked?.some((each) => each.peer === peer)) return;
      const mix = mixed(index + place * 7919, this.#seed);
      if (load === least && mix >= tie) return;
      best = peer;
      least = load;
      tie = mix;
    };
    const look = (): void => {
      let place = 0;
      for (const [peer, { usable }] of this.#table.others) {
        place++;
        if (hasBit(usable, index) && !holders.has(peer)) consider(peer, place);
      }
      // Who has it all serves those who have nothing: it is asked where nobody else can be.
      if (best === undefined) for (const peer of holders) consider(peer, ++place);
    };
    let isSlow = false;
    look();
    if (best !== undefined || hasQuick || slow.size === 0) return best;
    isSlow = true;
    least = 1;
    look();
    return best;
  }

  /** What is overdue is asked of somebody else too. */
  #hedge(wanting: Wanting, perPeer: number, slow: ReadonlySet<string>, now: number, chosen: Request[]): void {
    for (const [index, asked] of this.#underWay) {
      const [first] = asked;
      if (this.#inAll >= wanting.lanes) return;
      if (first === undefined || asked.length > 1 || now - first.since < this.#patience) continue;
      const peer = this.#peerFor(index, wanting, perPeer, slow, now);
      if (peer !== undefined && !slow.has(peer)) chosen.push(this.#begin(peer, index, now));
    }
  }
}
