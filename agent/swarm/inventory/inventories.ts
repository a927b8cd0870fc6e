import type { Digest } from '../../../protocol/digest.ts';
import type { Announcement } from '../../../protocol/messages.ts';
import { AgentError } from '../../errors.ts';
import { INVENTORY_LENGTH, TOLD_BLOBS } from '../limits.ts';
import type { HeldDescription } from '../ports.ts';

/** What one neighbour told of its blobs. */
export interface Inventory {
  readonly size: number;
  /** Whether a blob that is not in it is not held by the neighbour. */
  readonly isWhole: boolean;
  get(digest: Digest): HeldDescription | undefined;
}

/** Takes what one control stream announces. */
export interface Telling {
  /** @throws AgentError PEER_PROTOCOL where the peer tells of more than it may; the stream is the caller's to end */
  take(announcement: Announcement): void;
  /** The stream has ended: what was told on it counts no longer. May be called again. */
  close(): void;
}

/** What all neighbours told. Pure; bounded for each, and for all together, since ids are free. */
export interface Inventories {
  /** undefined where the peer does not announce, or has not begun to. */
  of(peer: string): Inventory | undefined;
  /** For a control stream that `peer` has opened. */
  open(peer: string): Telling;
}

export interface InventoriesInit {
  /** Blobs of one peer; one that tells of more breaks the protocol. @default INVENTORY_LENGTH */
  readonly perPeer?: number;
  /** Blobs of all peers; what is told beyond is not kept, and who told it is asked. @default TOLD_BLOBS */
  readonly overall?: number;
}

export function createInventories(init: InventoriesInit = {}): Inventories {
  const { perPeer = INVENTORY_LENGTH, overall = TOLD_BLOBS } = init;
  const current = new Map<string, Told>();
  let kept = 0;

  return {
    of: (peer) => current.get(peer),
    open(peer) {
      let told: Told | undefined;
      const forget = (): void => {
        const last = current.get(peer);
        if (last === undefined) return;
        kept -= last.size;
        last.blobs.clear();
        current.delete(peer);
      };
      return {
        take(announcement) {
          if (told === undefined) {
            // A stream that takes over from an earlier one tells everything anew.
            forget();
            told = new Told();
            current.set(peer, told);
          } else if (current.get(peer) !== told) {
            // The earlier one has nothing more to say.
            return;
          }
          const before = told.size;
          told.take(announcement, before + Math.max(overall - kept, 0));
          kept += told.size - before;
          if (told.size > perPeer) throw new AgentError('PEER_PROTOCOL', `announces more than ${perPeer} blobs`);
        },
        close() {
          if (told !== undefined && current.get(peer) === told) forget();
        },
      };
    },
  };
}

class Told implements Inventory {
  readonly blobs = new Map<Digest, HeldDescription>();
  /** Everything was told. */
  #isComplete = false;
  /** There is more than was told, or than was kept. */
  #isTruncated = false;
  #isCut = false;

  get size(): number {
    return this.blobs.size;
  }

  get isWhole(): boolean {
    return this.#isComplete && !this.#isTruncated && !this.#isCut;
  }

  get(digest: Digest): HeldDescription | undefined {
    return this.blobs.get(digest);
  }

  /** @param room blobs it may have in all */
  take(announcement: Announcement, room: number): void {
    switch (announcement.type) {
      case 'hold':
        for (const [digest, size, root] of announcement.blobs) {
          // Hex, not the bytes: those are a view that would keep the whole frame in memory.
          if (this.size < room || this.blobs.has(digest)) {
            this.blobs.set(digest, { size, root: Buffer.from(root).toString('hex') });
          } else this.#isCut = true;
        }
        return;
      case 'drop':
        for (const digest of announcement.digests) this.blobs.delete(digest);
        return;
      case 'complete':
        this.#isComplete = true;
        this.#isTruncated = announcement.truncated;
    }
  }
}
