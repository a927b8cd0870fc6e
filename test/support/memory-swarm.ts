import { hash } from 'node:crypto';
import { AgentError, type ErrorCode } from '../../agent/errors.ts';
import type { Holder, Offence, Swarm } from '../../agent/fetch/ports.ts';
import { type ChunkMap, chunkMap, chunkMapRoot } from '../../protocol/chunk-map.ts';
import { chunkStart, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';

/** How a peer of the twin behaves; whatever is not given is as an honest peer does it. */
export interface PeerScript {
  readonly address?: string;
  /** What it sends, and, unless `map` says otherwise, what its map is of. */
  readonly bytes: Uint8Array;
  /** What its chunk map is of, where that is not what it sends. */
  readonly mapOf?: Uint8Array;
  readonly claimedSize?: number;
  /** Milliseconds until it answers the look-up. */
  readonly answersAfter?: number;
  /** Called before each chunk: throws to fail. */
  readonly chunk?: (index: number, signal: AbortSignal) => Promise<void> | void;
}

/** A twin of the swarm role in memory: peers that behave as they are told. */
export interface MemorySwarm extends Swarm {
  hasNeighbours: boolean;
  isTrusted: boolean;
  add(peer: string, digest: Digest, script: PeerScript): void;
  readonly strikes: { peer: string; offence: Offence }[];
  /** Chunks given, by peer. */
  readonly given: Map<string, number[]>;
  /** Keeps look-ups open after the last answer, as a DHT that goes on searching does. */
  keepsLooking: boolean;
}

export function memorySwarm(): MemorySwarm {
  const peers: { peer: string; digest: Digest; script: PeerScript }[] = [];
  const twin: MemorySwarm = {
    hasNeighbours: true,
    isTrusted: false,
    keepsLooking: false,
    strikes: [],
    given: new Map(),
    add(peer, digest, script) {
      peers.push({ peer, digest, script });
    },
    async *holders(digest, signal) {
      const asked = peers.filter((known) => known.digest === digest && !twin.isBanned(known.peer));
      asked.sort((a, b) => (a.script.answersAfter ?? 0) - (b.script.answersAfter ?? 0));
      let waited = 0;
      for (const { peer, script } of asked) {
        const wait = (script.answersAfter ?? 0) - waited;
        if (wait > 0 && !(await pause(wait, signal))) return;
        waited += wait;
        yield holder(peer, digest, script);
      }
      if (twin.keepsLooking) await pause(60_000, signal);
    },
    strike: (peer, offence) => void twin.strikes.push({ peer, offence }),
    isBanned: (peer) => twin.strikes.some((strike) => strike.peer === peer && strike.offence === 'lied'),
  };

  function holder(peer: string, digest: Digest, script: PeerScript): Holder {
    const map = mapOf(digest, script.mapOf ?? script.bytes);
    return {
      peer,
      address: script.address ?? `10.0.0.${peer.length}`,
      size: script.claimedSize ?? map.layout.size,
      root: chunkMapRoot(map),
      map: async () => map,
      async chunk(index, length, signal, into = Buffer.alloc(length)) {
        await script.chunk?.(index, signal);
        signal.throwIfAborted();
        twin.given.set(peer, [...(twin.given.get(peer) ?? []), index]);
        const start = chunkStart(map.layout, index);
        into.set(script.bytes.subarray(start, start + length));
        return into;
      },
    };
  }
  return twin;
}

/** The honest chunk map of `bytes`. */
export function mapOf(digest: Digest, bytes: Uint8Array): ChunkMap {
  const layout = layoutOf(bytes.length);
  const hashes = Array.from({ length: layout.count }, (_, index) => {
    const start = chunkStart(layout, index);
    return hash('sha256', bytes.subarray(start, start + layout.chunkSize), 'buffer');
  });
  return chunkMap(digest, bytes.length, Buffer.concat(hashes));
}

/** A script's `chunk` that fails from the n-th chunk on. */
export function failsFrom(from: number, code: ErrorCode): (index: number) => void {
  let served = 0;
  return () => {
    if (served++ >= from) throw new AgentError(code, 'as the script says');
  };
}

/** Whether the time passed before the signal fired. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(true), ms);
    const stop = () => done(false);
    const done = (passed: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve(passed);
    };
    if (signal.aborted) done(false);
    else signal.addEventListener('abort', stop);
  });
}
