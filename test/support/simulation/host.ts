import { Fleet } from '../../../agent/fetch/rules/fleet.ts';
import { type Admission, createAdmission } from '../../../agent/swarm/chunks/admission.ts';
import { CHUNK_TURN, QUEUED_CHUNKS, QUEUED_CHUNKS_PER_ADDRESS } from '../../../agent/swarm/limits.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import type { Agenda } from './agenda.ts';
import type { Flow } from './uplink.ts';

/** What a hostile host does. */
export type Lie =
  /** Says it has everything, and never sends a byte of it. */
  | 'boasts'
  /** Says it has everything, and has nothing when asked. */
  | 'lacks'
  /** Sends chunks that are not true. */
  | 'corrupts'
  /** As a coordinator: refuses everyone; grants everyone; names holders who are none. */
  | 'refuses'
  | 'grants'
  | 'names'
  /** Takes leases, and no byte under them; or a byte a second; or makes its bytes up; or all, and keeps it to itself. */
  | 'stalls'
  | 'drips'
  | 'inflates'
  /** Takes leases, and ends them and takes them again before they are overdue. */
  | 'renews'
  /** The same, and says for a moment that chunks have come under them; it gives none. */
  | 'unsays'
  /** The same, and says to have all for as long as anybody honest takes the blob from upstream. */
  | 'snaps'
  | 'hoards';

export interface HostInit {
  readonly name: string;
  /** bit/s each way. @default 1 Gbit */
  readonly link?: number;
  /** ms of CPU a message, at either side. @default 0.1 */
  readonly messageCost?: number;
  /** ms of CPU a chunk, at either side. @default 6 */
  readonly chunkCost?: number;
  readonly lie?: Lie | undefined;
}

/** A blob at one host. */
export class Hold {
  readonly digest: Digest;
  readonly size: number;
  readonly count: number;
  /** By chunk: 0 not there, 1 with a mark, 2 matched to the map. */
  readonly vouched: Uint8Array;
  missing: number;
  /** ms */
  readonly startedAt: number;
  doneAt: number | undefined;
  /** It was given up. */
  isStuck = false;
  /** Names of those that told that they have all of it. */
  readonly holders = new Set<string>();
  /** The connection to upstream, while a segment is taken. */
  flow: Flow | undefined;

  constructor(digest: Digest, size: number, now: number) {
    this.digest = digest;
    this.size = size;
    this.count = layoutOf(size).count;
    this.vouched = new Uint8Array(this.count);
    this.missing = this.count;
    this.startedAt = now;
  }
}

/** A chunk on its way from one host to another. */
export interface Request {
  readonly from: Host;
  readonly digest: Digest;
  readonly index: number;
  /** Nobody waits for it any more. */
  isOver: boolean;
}

/** One host: its agent's rules, its CPU (one core, messages before chunks), its links (first come, first served). */
export class Host {
  readonly name: string;
  readonly fleet: Fleet;
  readonly lie: Lie | undefined;
  readonly admission: Admission;
  readonly holds = new Map<Digest, Hold>();
  /** What its rules told last of each blob. */
  readonly told = new Map<Digest, FleetMessage>();
  /** By peer, digest and chunk. */
  readonly requests = new Map<string, Request>();
  /** Bytes a ms, each way. */
  readonly link: number;
  readonly chunkCost: number;
  isAlive = false;
  pausedUntil = 0;
  /** Number of the side of the split it is on. */
  side = 0;
  upFreeAt = 0;
  downFreeAt = 0;
  timerAt = Number.POSITIVE_INFINITY;
  sent = 0;
  received = 0;
  ticks = 0;
  /** When the host was there, ms: what its messages a second are counted over. */
  readonly #agenda: Agenda;
  readonly #messageCost: number;
  #messagesUntil = 0;
  #workUntil = 0;

  constructor(agenda: Agenda, init: HostInit) {
    this.name = init.name;
    this.lie = init.lie;
    this.link = (init.link ?? 1_000_000_000) / 8_000;
    this.chunkCost = init.chunkCost ?? 6;
    this.#messageCost = init.messageCost ?? 0.1;
    this.#agenda = agenda;
    this.fleet = new Fleet({ self: init.name });
    this.admission = createAdmission({
      perAddress: QUEUED_CHUNKS_PER_ADDRESS,
      overall: QUEUED_CHUNKS,
      chunkTurn: CHUNK_TURN,
    });
  }

  /** When a message that arrives at `time` has been dealt with. */
  message(time: number): number {
    this.#messagesUntil = Math.max(time, this.#messagesUntil) + this.#messageCost;
    if (this.#workUntil > time) this.#workUntil += this.#messageCost;
    return this.#messagesUntil;
  }

  /** The CPU works this long, then `act` happens. */
  work(cost: number, act: () => void): void {
    this.#workUntil = Math.max(this.#agenda.now, this.#workUntil) + cost;
    this.run(this.#workUntil, act);
  }

  /** Lets `act` happen at `time`; later where the host stands still then, never where it is dead. */
  run(time: number, act: () => void): void {
    this.#agenda.at(time, () => {
      if (!this.isAlive) return;
      if (this.#agenda.now < this.pausedUntil) this.run(this.pausedUntil, act);
      else act();
    });
  }
}
