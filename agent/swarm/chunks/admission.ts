import type { ChunkRequest } from '../../../protocol/messages.ts';

/**
 * How many chunk requests are taken at a time, and of which chunks: beyond it, "busy" sends the asker elsewhere. Pure:
 * times are ms of one clock, given by the caller.
 */
export interface Admission {
  /** Takes a place for a request; undefined where there is none, or where another peer is being sent that chunk. */
  enter(asker: Asker, request: ChunkRequest, now: number): Place | undefined;
}

export interface Asker {
  readonly peer: string;
  /** Its IP address. */
  readonly address: string;
}

/** A place that was taken. */
export interface Place {
  /** Gives it back. */
  leave(): void;
}

export interface AdmissionInit {
  /** Places for one IP address: ids are free, addresses less so. */
  readonly perAddress: number;
  readonly overall: number;
  /** ms for which a chunk on its way to one peer is kept from others. */
  readonly chunkTurn: number;
}

/** Whose turn it is with a chunk. */
interface Turn {
  readonly peer: string;
  readonly since: number;
  /** Its requests for the chunk. */
  requests: number;
}

/**
 * A chunk goes to one peer at a time: two who ask at once would be sent the same bytes twice, where the second can have
 * them of the first while this agent gives it others. Not for longer than a turn, for who takes its bytes slowly would
 * keep a chunk from all.
 */
export function createAdmission(init: AdmissionInit): Admission {
  const taken = new Map<string, number>();
  const turns = new Map<string, Turn>();
  let all = 0;

  const takeTurn = (chunk: string, peer: string, now: number): Turn | undefined => {
    const current = turns.get(chunk);
    if (current?.peer === peer) {
      current.requests += 1;
      return current;
    }
    if (current !== undefined && now - current.since < init.chunkTurn) return undefined;
    const turn = { peer, since: now, requests: 1 };
    turns.set(chunk, turn);
    return turn;
  };

  return {
    enter({ peer, address }, { digest, index }, now) {
      const theirs = taken.get(address) ?? 0;
      if (theirs >= init.perAddress || all >= init.overall) return undefined;
      const chunk = `${digest} ${index}`;
      const turn = takeTurn(chunk, peer, now);
      if (turn === undefined) return undefined;
      taken.set(address, theirs + 1);
      all += 1;
      let isTaken = true;
      return {
        leave() {
          if (!isTaken) throw new RangeError('a place is given back once');
          isTaken = false;
          const left = (taken.get(address) ?? 0) - 1;
          if (left === 0) taken.delete(address);
          else taken.set(address, left);
          all -= 1;
          turn.requests -= 1;
          // Another may have its turn by now.
          if (turn.requests === 0 && turns.get(chunk) === turn) turns.delete(chunk);
        },
      };
    },
  };
}
