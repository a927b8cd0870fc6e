import type { Wish } from '../../../agent/fetch/rules/wish.ts';
import { bitmapOf } from '../../../protocol/bitmap.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { Hold, type Host, type Lie, type Request } from './host.ts';
import type { World } from './world.ts';

/** No byte for so long, and a request has failed. ms */
const STALL = 5_000;

/** Who has a lease of no use to anybody. */
const TAKES_NOTHING: ReadonlySet<Lie> = new Set(['stalls', 'drips', 'inflates', 'renews', 'unsays', 'snaps']);

/** In how many pieces a chunk comes from upstream; on a thin line in more, so that each takes about a second: up to so many. */
const PIECES = 8;
const MOST_PIECES = 40;

/** How long it takes to get a chunk map of a holder. ms */
const MAP = 3;

/** How long after it has all of a blob a host's neighbours have been told so. ms */
const TOLD = 50;

/** All blobs have one chunk map. */
const ROOT = new Uint8Array(32).fill(7);

type Deed = Exclude<Wish, { kind: 'tell' }>;

/** Does what the rules wish for, as the agent would: takes chunks from peers and from upstream, and tells the rules. */
export class Puller {
  readonly #world: World;
  readonly #hasRanges: boolean;
  readonly #fails: (host: Host) => boolean;
  readonly #onDone = new Map<Hold, () => void>();

  constructor(world: World, init: { readonly hasRanges?: boolean; readonly fails?: (host: Host) => boolean }) {
    this.#world = world;
    this.#hasRanges = init.hasRanges ?? true;
    this.#fails = init.fails ?? (() => false);
  }

  join(host: Host, { digest, size }: { readonly digest: Digest; readonly size: number }, onDone: () => void): void {
    const now = this.#now;
    const hold = new Hold(digest, size, now);
    host.holds.set(digest, hold);
    this.#onDone.set(hold, onDone);
    this.#hears(host, hold);
    this.#world.act(host, () => {
      const none = bitmapOf(hold.count);
      const searchUntil = hold.holders.size > 0 ? now + 100 : now;
      host.fleet.join(digest, size, { have: none, marked: none.slice(), first: 0, searchUntil }, now);
    });
    if (hold.holders.size > 0) this.#guide(host, hold);
  }

  heed(host: Host, deed: Deed): void {
    const hold = host.holds.get(deed.digest);
    if (hold === undefined) return;
    switch (deed.kind) {
      case 'take':
        this.#take(host, deed);
        break;
      case 'cancel': {
        const request = host.requests.get(keyOf(deed.peer, deed.digest, deed.index));
        if (request !== undefined)
          this.#world.agenda.after(0, () => this.#answer(host, deed.peer, request, 'cancelled'));
        break;
      }
      case 'upstream':
        if (this.#hears(host, hold)) this.#world.agenda.after(0, () => this.#leave(host, hold, deed));
        else this.#upstream(host, hold, deed.from, deed.to);
        break;
      case 'halt':
        this.#world.agenda.after(0, () => this.#halt(host, hold));
        break;
      case 'stuck':
        hold.isStuck = true;
        this.#world.trace?.(`${host.name} ${digestName(deed.digest)} is stuck`);
        break;
    }
  }

  /** A host that dies lets go of upstream. */
  abandon(hold: Hold): void {
    if (hold.flow !== undefined) this.#world.uplink.abort(hold.flow, Number.POSITIVE_INFINITY);
  }

  /** The connection to `peer` is gone. */
  lose(host: Host, peer: Host): void {
    for (const [key, request] of [...host.requests]) {
      if (key.startsWith(`${peer.name}/`)) this.#answer(host, peer.name, request, 'failed');
    }
  }

  get #now(): number {
    return this.#world.agenda.now;
  }

  #tell(host: Host, digest: Digest, event: Parameters<Host['fleet']['on']>[2]): void {
    this.#world.act(host, () => host.fleet.on(digest, this.#now, event));
  }

  // Who has all of it.

  /** Takes note of who told since that they have it, liars aside: they tell by other means. @returns whether there were any */
  #hears(host: Host, { digest, holders }: Hold): boolean {
    const before = holders.size;
    for (const each of this.#world.hosts) {
      const { doneAt = Number.POSITIVE_INFINITY } = each.holds.get(digest) ?? {};
      if (each.lie !== undefined || !each.isAlive) continue;
      if (doneAt + TOLD <= this.#now && this.#world.areConnected(host, each)) holders.add(each.name);
    }
    return holders.size > before;
  }

  /** Their chunk map is asked for, and the lease that was about to be taken is left for it. */
  #leave(host: Host, hold: Hold, { from, to }: Extract<Deed, { kind: 'upstream' }>): void {
    let isLeft = false;
    this.#tell(host, hold.digest, (own) => {
      isLeft = own.leavesLease(this.#now);
    });
    if (!isLeft) this.#upstream(host, hold, from, to);
    this.#guide(host, hold);
  }

  /** What they have is of use once their chunk map is here. */
  #guide(host: Host, { digest, holders }: Hold): void {
    host.run(this.#now + MAP, () =>
      this.#tell(host, digest, (own) => {
        own.use(ROOT, holders);
        own.searched();
      }),
    );
  }

  // From a peer.

  #take(host: Host, { digest, peer, index }: Extract<Deed, { kind: 'take' }>): void {
    const request: Request = { from: host, digest, index, isOver: false };
    this.#world.trace?.(`${host.name} ${digestName(digest)} ${index} of ${peer} asked for`);
    const server = this.#world.byName.get(peer) as Host;
    host.requests.set(keyOf(peer, digest, index), request);
    this.#watch(host, server, request, STALL);
    if (!server.isAlive) return;
    this.#world.across(host, server, () =>
      server.run(server.message(this.#now + this.#world.latency), () => this.#serve(server, request)),
    );
  }

  /** Ends a request of which no byte comes. */
  #watch(host: Host, server: Host, request: Request, delay: number): void {
    this.#world.agenda.after(delay, () => {
      if (request.isOver || !host.isAlive) return;
      const isMute = !server.isAlive || this.#now < server.pausedUntil || server.lie === 'boasts';
      if (isMute || !this.#world.areConnected(host, server)) this.#answer(host, server.name, request, 'failed');
      else this.#watch(host, server, request, STALL / 5);
    });
  }

  #serve(server: Host, request: Request): void {
    const { from: host, digest, index } = request;
    if (request.isOver || server.lie === 'boasts') return;
    const reply = (outcome: 'busy' | 'failed'): void =>
      this.#world.across(server, host, () =>
        host.run(host.message(this.#now + this.#world.latency), () =>
          this.#answer(host, server.name, request, outcome),
        ),
      );
    const hold = server.holds.get(digest);
    if (server.lie === 'hoards' || server.lie === 'unsays' || server.lie === 'snaps') {
      reply('busy');
      return;
    }
    if (hold === undefined || hold.vouched[index] === 0) {
      reply('failed');
      return;
    }
    const place = server.admission.enter({ peer: host.name, address: host.name }, { digest, index }, this.#now);
    if (place === undefined) {
      reply('busy');
      return;
    }
    const length = Math.min(layoutOf(hold.size).chunkSize, hold.size - index * layoutOf(hold.size).chunkSize);
    server.work(server.chunkCost, () => {
      if (request.isOver) return place.leave();
      const begin = Math.max(this.#now, server.upFreeAt);
      server.upFreeAt = begin + length / server.link;
      // A slow sender takes little of the receiver's line.
      host.downFreeAt = Math.max(this.#now, host.downFreeAt) + length / host.link;
      const arrived = Math.max(host.downFreeAt, server.upFreeAt);
      this.#world.agenda.at(arrived, () => place.leave());
      const vouched = hold.vouched[index] as number;
      this.#world.agenda.at(arrived + this.#world.latency, () =>
        this.#world.across(server, host, () =>
          host.work(host.chunkCost, () => this.#arrived(host, server, request, vouched)),
        ),
      );
    });
  }

  #arrived(host: Host, server: Host, request: Request, vouched: number): void {
    if (request.isOver) return;
    if (server.lie === 'corrupts') this.#answer(host, server.name, request, 'failed');
    else this.#answer(host, server.name, request, 'done', vouched);
  }

  #answer(
    host: Host,
    peer: string,
    request: Request,
    outcome: 'done' | 'busy' | 'failed' | 'cancelled',
    vouched = 0,
  ): void {
    if (request.isOver || !host.isAlive) return;
    const { digest, index } = request;
    this.#world.trace?.(`${host.name} ${digestName(digest)} ${index} of ${peer} ${outcome}`);
    request.isOver = true;
    host.requests.delete(keyOf(peer, digest, index));
    this.#tell(host, digest, (own) => {
      own.answered(peer, index, outcome, this.#now);
      if (outcome === 'done') own.took(index, vouched === 1 ? 'mark' : 'map', this.#now);
    });
    if (outcome === 'done') this.#have(host, digest, index, vouched);
  }

  #have(host: Host, digest: Digest, index: number, vouched: number): void {
    const hold = host.holds.get(digest) as Hold;
    if (hold.vouched[index] !== 0) return;
    hold.vouched[index] = vouched;
    hold.missing--;
    if (hold.missing > 0) return;
    hold.doneAt = this.#now;
    this.#tell(host, digest, (own) => own.completed(this.#now));
    this.#onDone.get(hold)?.();
  }

  // From upstream.

  #upstream(host: Host, hold: Hold, from: number, to: number): void {
    if (hold.flow !== undefined) throw new Error(`${host.name} takes a second segment of one blob at a time`);
    const { uplink } = this.#world;
    const flow = uplink.open();
    hold.flow = flow;
    this.#world.trace?.(`${host.name} ${digestName(hold.digest)} upstream ${from} to ${to}`);
    if (host.lie !== undefined && TAKES_NOTHING.has(host.lie)) return;
    const { chunkSize } = layoutOf(hold.size);
    const skipped = this.#hasRanges ? 0 : from * chunkSize;
    const end = this.#hasRanges ? Math.min(hold.size, to * chunkSize) : hold.size;
    host.run(this.#now + uplink.rtt, () => {
      if (hold.flow !== flow) return;
      if (!this.#hasRanges) this.#tell(host, hold.digest, (own) => own.noRange());
      if (this.#fails(host)) this.#ended(host, hold, false);
      else if (skipped > 0)
        uplink.read(flow, skipped, () =>
          host.run(this.#now, () => {
            if (hold.flow === flow) this.#next(host, hold, from, to, end);
          }),
        );
      else this.#next(host, hold, from, to, end);
    });
  }

  #next(host: Host, hold: Hold, index: number, leased: number, end: number): void {
    const to = this.#hasRanges ? leased : hold.count;
    const { chunkSize } = layoutOf(hold.size);
    const flow = hold.flow as Flow;
    const unread = end - index * chunkSize;
    if (this.#hears(host, hold)) this.#guide(host, hold);
    if (index >= to || !host.fleet.goesOn(hold.digest, index, this.#now)) {
      this.#world.uplink.abort(flow, Math.max(0, unread));
      this.#world.trace?.(`${host.name} ${digestName(hold.digest)} upstream ends before ${index} of ${to}`);
      this.#ended(host, hold, true);
      return;
    }
    const length = Math.min(chunkSize, hold.size - index * chunkSize);
    const pieces = Math.min(MOST_PIECES, Math.max(PIECES, Math.ceil(length / (this.#world.uplink.share * 1_000))));
    this.#piece(host, hold, { length, piece: 1, pieces }, () => {
      host.work(host.chunkCost / 2, () => {
        this.#tell(host, hold.digest, (own) => own.took(index, 'mark', this.#now));
        this.#have(host, hold.digest, index, 1);
        if (index + 1 >= to && hold.flow === flow) this.#next(host, hold, index + 1, to, end);
      });
      if (index + 1 < to) this.#next(host, hold, index + 1, to, end);
    });
  }

  #piece(host: Host, hold: Hold, part: Piece, onChunk: () => void): void {
    const { length, piece, pieces } = part;
    const bytes = Math.floor((length * piece) / pieces) - Math.floor((length * (piece - 1)) / pieces);
    const begun = this.#now;
    const flow = hold.flow as Flow;
    this.#world.uplink.read(flow, bytes, () => {
      // Its own line may be slower than its part of the uplink.
      host.downFreeAt = Math.max(host.downFreeAt, begun) + bytes / host.link;
      host.run(host.downFreeAt, () => {
        if (hold.flow !== flow) return;
        this.#tell(host, hold.digest, (own) => own.upstreamBytes(bytes, this.#now));
        if (piece < pieces) this.#piece(host, hold, { ...part, piece: piece + 1 }, onChunk);
        else onChunk();
      });
    });
  }

  #halt(host: Host, hold: Hold): void {
    if (hold.flow === undefined) return;
    this.#world.trace?.(`${host.name} ${digestName(hold.digest)} upstream halted`);
    this.#world.uplink.abort(hold.flow, Number.POSITIVE_INFINITY);
    this.#ended(host, hold, true);
  }

  #ended(host: Host, hold: Hold, isUsable: boolean): void {
    hold.flow = undefined;
    this.#tell(host, hold.digest, (own) => own.upstreamEnded(isUsable, this.#now));
  }
}

/** One of the pieces in which a chunk comes. */
interface Piece {
  /** Bytes of the chunk. */
  readonly length: number;
  /** From 1. */
  readonly piece: number;
  readonly pieces: number;
}

type Flow = NonNullable<Hold['flow']>;

function digestName(digest: Digest): string {
  return digest.slice(7, 11);
}

function keyOf(peer: string, digest: Digest, index: number): string {
  return `${peer}/${digest}/${index}`;
}
