import { type ChunkMap, chunkMapRoot, decodeChunkMap } from '../../protocol/chunk-map.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { GivenChunk } from './chunks/stream.ts';
import type { MissingRecord } from './missing.ts';
import type { Neighbour } from './neighbours.ts';

/** A peer that says it holds a blob; agent/fetch/ports.ts has the contract. */
export interface Holder {
  readonly peer: string;
  readonly address: string;
  readonly size: number;
  readonly root: string;
  map(signal: AbortSignal): Promise<ChunkMap>;
  chunk(index: number, length: number, signal: AbortSignal, into?: Uint8Array): Promise<GivenChunk>;
}

/** What a peer answered to `have`. */
export interface Claim {
  readonly size: number;
  /** Hex. */
  readonly root: string;
}

export interface HolderComponents {
  readonly missing: MissingRecord;
  /** Told once for each answer that is well-formed but not one to the question. */
  onGarbage(peer: string): void;
}

export interface HolderInit {
  /** ms a chunk map may take. */
  readonly mapTimeout: number;
}

/** A holder of `digest` over a neighbour's streams. */
export function createHolder(
  neighbour: Neighbour,
  digest: Digest,
  claim: Claim,
  { missing, onGarbage }: HolderComponents,
  { mapTimeout }: HolderInit,
): Holder {
  const { id: peer } = neighbour;
  const gone = (error: unknown): never => {
    if (isAgentError(error, 'PEER_MISSING')) missing.note(peer, digest);
    throw error;
  };
  const askedMap = async (signal: AbortSignal): Promise<ChunkMap> =>
    checkedMap(await askMap(neighbour, digest, mapTimeout, signal), digest, claim);
  return {
    peer,
    address: neighbour.address,
    ...claim,
    async map(signal) {
      return askedMap(signal).catch((error: unknown) => {
        // What is no control answer at all is told by the control client, and fails the question as PEER_UNREACHABLE.
        if (isAgentError(error, 'PEER_PROTOCOL')) onGarbage(peer);
        return gone(error);
      });
    },
    chunk(index, length, signal, into) {
      return neighbour.chunks.request({ digest, index }, length, signal, into).catch(gone);
    },
  };
}

async function askMap(
  neighbour: Neighbour,
  digest: Digest,
  mapTimeout: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(mapTimeout);
  try {
    const answer = await neighbour.control.ask({ type: 'map', digest }, AbortSignal.any([signal, timeout]));
    if (answer.type === 'map') return answer.map;
    if (answer.type === 'missing') throw new AgentError('PEER_MISSING', 'the peer no longer has the blob');
    if (answer.type === 'busy') throw new AgentError('PEER_BUSY', 'the peer serves as many as it can');
    throw new AgentError('PEER_PROTOCOL', 'an answer to another question');
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) throw new AgentError('PEER_STALLED', `no chunk map within ${mapTimeout} ms`, { cause: error });
    throw error;
  }
}

/** @throws AgentError PEER_PROTOCOL where the map is not the one the peer claimed */
function checkedMap(bytes: Uint8Array, digest: Digest, claim: Claim): ChunkMap {
  const map = decodeChunkMap(bytes);
  if (
    map === undefined ||
    map.digest !== digest ||
    map.layout.size !== claim.size ||
    chunkMapRoot(map) !== claim.root
  ) {
    throw new AgentError('PEER_PROTOCOL', 'not the chunk map the peer claimed to have');
  }
  return map;
}

/** The peer's claim to hold the blob; undefined where it does not hold it. @throws AgentError PEER_…; signal's reason */
export async function askHave(neighbour: Neighbour, digest: Digest, signal: AbortSignal): Promise<Claim | undefined> {
  const answer = await neighbour.control.ask({ type: 'have', digest }, signal);
  if (answer.type === 'missing' || answer.type === 'busy') return undefined;
  if (answer.type !== 'holding') {
    throw new AgentError('PEER_PROTOCOL', 'an answer to another question');
  }
  return { size: answer.size, root: Buffer.from(answer.root).toString('hex') };
}
