import type { Offence } from './ports.ts';

const MINUTE = 60_000;

/** What each offence weighs. A false byte is never an accident of the network: it bans at once. */
const WEIGHT: Readonly<Record<Offence, number>> = { lied: 100, garbage: 25, missing: 10, stalled: 10 };

/** Weight at which a peer is banned. */
const BAN_WEIGHT = 100;

/** Weight halves in this time, so that slips that are far apart never add up to a ban. ms. */
const HALF_LIFE = 10 * MINUTE;

/** How long a liar is shut out. ms. */
export const LIE_BAN = 60 * MINUTE;

/** How long a peer is shut out whose slips added up. ms. */
export const SLIP_BAN = 10 * MINUTE;

/** One fault of a host or link breaks many requests at once: slips this close together count as one. ms. */
const SLIP_SPAN = 10_000;

/** Weight below which a conduct without a running ban is not worth keeping over a restart. */
const FORGOTTEN_WEIGHT = 1;

/** Peers and addresses remembered; the longest untouched go first, but a ban that runs is kept before a mere strike. */
const MAX_SUBJECTS = 4_096;

/** What is remembered of one peer id, or of one IP address. */
export interface Conduct {
  /** Offences so far, for people to see; it does not decay. */
  readonly strikes: number;
  /** Weight at `at`. */
  readonly weight: number;
  readonly at: number;
  readonly bannedUntil: number;
  /** When a slip (missing, stalled) was last counted. */
  readonly slippedAt: number;
}

/** Everything, for a store to keep. Keys: `peer:<id>` and `address:<IP>`; times of the clock given to {@link createReputation}. */
export type ReputationSnapshot = ReadonlyArray<readonly [string, Conduct]>;

/** Who did wrong, and who is shut out. Pure: time comes in by `now`. */
export interface Reputation {
  /** Notes an offence of a peer, seen at `address`. Returns whether it is banned from now on. */
  strike(peer: string, address: string | undefined, offence: Offence): boolean;
  isPeerBanned(peer: string): boolean;
  isAddressBanned(address: string): boolean;
  /** Number of offences noted against the peer. */
  strikes(peer: string): number;
  /** Peers whose ban runs. */
  banned(): string[];
  snapshot(): ReputationSnapshot;
  /**
   * Takes over what an earlier {@link snapshot} gave, in place of what is there, less what time has healed. Where the
   * clock was set back meanwhile, no ban gets longer than it was when it was pronounced.
   */
  restore(snapshot: ReputationSnapshot): void;
}

/** @param now wall clock in ms: bans outlive the process */
export function createReputation(now: () => number): Reputation {
  let conducts = new Map<string, Conduct>();

  const isBanned = (key: string): boolean => (conducts.get(key)?.bannedUntil ?? 0) > now();
  const note = (key: string, offence: Offence): void => {
    const before = conducts.get(key) ?? {
      strikes: 0,
      weight: 0,
      at: now(),
      bannedUntil: 0,
      // Not minus infinity, which JSON has no word for.
      slippedAt: 0,
    };
    const isSlip = offence === 'missing' || offence === 'stalled';
    if (isSlip && now() - before.slippedAt < SLIP_SPAN) return;
    const weight = decayed(before.weight, now() - before.at) + WEIGHT[offence];
    const until = weight < BAN_WEIGHT ? 0 : now() + (offence === 'lied' ? LIE_BAN : SLIP_BAN);
    conducts.delete(key);
    conducts.set(key, {
      strikes: before.strikes + 1,
      weight,
      at: now(),
      bannedUntil: Math.max(before.bannedUntil, until),
      slippedAt: isSlip ? now() : before.slippedAt,
    });
    if (conducts.size > MAX_SUBJECTS) evict(conducts, isBanned);
  };

  return {
    strike(peer, address, offence) {
      note(peerKey(peer), offence);
      // Ids are free: who lies is shut out by address too. Slips stay with the id: a host behind NAT may have honest
      // neighbours.
      if (address !== undefined && offence === 'lied') note(addressKey(address), offence);
      return isBanned(peerKey(peer));
    },
    isPeerBanned: (peer) => isBanned(peerKey(peer)),
    isAddressBanned: (address) => isBanned(addressKey(address)),
    strikes: (peer) => conducts.get(peerKey(peer))?.strikes ?? 0,
    banned: () => [...conducts.keys()].filter((key) => key.startsWith('peer:') && isBanned(key)).map((k) => k.slice(5)),
    snapshot: () => [...conducts],
    restore(snapshot) {
      const remembered = snapshot
        .map(([key, conduct]) => [key, noLaterThan(now(), conduct)] as const)
        .filter(
          ([, { weight, at, bannedUntil }]) => bannedUntil > now() || decayed(weight, now() - at) >= FORGOTTEN_WEIGHT,
        );
      conducts = new Map(remembered.slice(-MAX_SUBJECTS));
    },
  };
}

const decayed = (weight: number, age: number): number => weight * 0.5 ** (age / HALF_LIFE);

/** With times that lie in the future brought back to where they can be. */
function noLaterThan(now: number, conduct: Conduct): Conduct {
  return {
    ...conduct,
    at: Math.min(conduct.at, now),
    slippedAt: Math.min(conduct.slippedAt, now),
    bannedUntil: Math.min(conduct.bannedUntil, now + LIE_BAN),
  };
}

const peerKey = (peer: string): string => `peer:${peer}`;
const addressKey = (address: string): string => `address:${address}`;

/** Map order is age. */
function evict(conducts: Map<string, Conduct>, isBanned: (key: string) => boolean): void {
  for (const key of conducts.keys()) {
    if (!isBanned(key)) {
      conducts.delete(key);
      return;
    }
  }
  const [oldest] = conducts.keys();
  if (oldest !== undefined) conducts.delete(oldest);
}
