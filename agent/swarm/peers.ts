import type { LaneState } from './bulk/asker.ts';
import type { Target } from './dialler.ts';
import type { Neighbour } from './neighbours.ts';

/** A peer as `layerlan peers` shows it. */
export interface PeerStatus {
  /** null for a static address whose peer has not been met yet. */
  readonly id: string | null;
  readonly addresses: string[];
  readonly state: 'connected' | 'dialing' | 'backing-off' | 'banned';
  /** Blobs it tells us it holds: 0 where it tells nothing, null while it is not connected. */
  readonly blobs: number | null;
  /** Whether the bodies of its chunks come by a bulk lane; null while it is not connected. */
  readonly bulk: LaneState | null;
  /** Offences noted, those of earlier runs too while they still weigh anything. */
  readonly strikes: number;
}

export interface PeerSources {
  readonly neighbours: readonly Neighbour[];
  readonly targets: readonly Target[];
  readonly banned: readonly string[];
  strikes(id: string): number;
  /** Blobs the neighbour told us of. */
  blobs(id: string): number;
}

/** Every peer there is something to say of, each once: connected, wanted, or banned. */
export function peerStatuses({ neighbours, targets, banned, strikes, blobs }: PeerSources): PeerStatus[] {
  const byId = new Map<string, PeerStatus>();
  const nameless: PeerStatus[] = [];
  const note = (id: string | null, status: Omit<PeerStatus, 'id' | 'strikes'>): void => {
    if (id === null) nameless.push({ id, ...status, strikes: 0 });
    else if (!byId.has(id)) byId.set(id, { id, ...status, strikes: strikes(id) });
  };
  const isBanned = new Set(banned);
  for (const { id, addresses, lane } of neighbours) {
    const bulk = lane?.state ?? 'off';
    if (!isBanned.has(id)) note(id, { addresses, state: 'connected', blobs: blobs(id), bulk });
  }
  for (const { id, addresses, state } of targets) {
    if (id !== undefined && isBanned.has(id))
      note(id, { addresses: [...addresses], state: 'banned', blobs: null, bulk: null });
    // An idle target that is not connected is due within a moment.
    const shown = state === 'backing-off' ? state : 'dialing';
    note(id ?? null, { addresses: [...addresses], state: shown, blobs: null, bulk: null });
  }
  for (const id of banned) note(id, { addresses: [], state: 'banned', blobs: null, bulk: null });
  return [...byId.values(), ...nameless];
}
