import { hash } from 'node:crypto';
import { AgentError, type ErrorCode } from '../../agent/errors.ts';
import type { Attendant, Holder, Neighbour, Offence, Swarm, TagTeller } from '../../agent/fetch/ports.ts';
import { type ChunkMap, chunkMap, chunkMapRoot } from '../../protocol/chunk-map.ts';
import { chunkStart, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Mark } from '../../protocol/mark.ts';
import type { FleetMessage } from '../../protocol/messages.ts';
import type { AskedTag, SignedTag } from '../../protocol/tag-record.ts';

/** How a peer of the twin behaves; whatever is not given is as an honest peer does it. */
export interface PeerScript {
  readonly address?: string;
  /** What it sends, and, unless `mapOf` says otherwise, what its map is of. */
  readonly bytes: Uint8Array;
  /** What its chunk map is of, where that is not what it sends. */
  readonly mapOf?: Uint8Array;
  readonly claimedSize?: number;
  /** Milliseconds until it answers the look-up. */
  readonly answersAfter?: number;
  /** Called before it gives its map: throws to fail. */
  readonly map?: (signal: AbortSignal) => Promise<void> | void;
  /** Called before each chunk: throws to fail. */
  readonly chunk?: (index: number, signal: AbortSignal) => Promise<void> | void;
}

/** How a neighbour that takes blobs together with this agent behaves. */
export interface TakerScript {
  /** @default one of its own */
  readonly address?: string;
  /** Gives a chunk, or throws an AgentError as the port has it. @default PEER_MISSING */
  chunk?(digest: Digest, index: number, signal: AbortSignal): Promise<GivenChunk> | GivenChunk;
  /** Hears what this agent tells it; what it says to that is for `say`. */
  heard?(message: FleetMessage): void;
  /** What it says that a tag is. @default nothing */
  tag?(asked: AskedTag, signal: AbortSignal): Promise<SignedTag | undefined> | SignedTag | undefined;
}

export interface GivenChunk {
  readonly bytes: Uint8Array;
  readonly mark?: Mark | undefined;
}

/** A twin of the swarm role in memory: peers that behave as they are told. */
export interface MemorySwarm extends Swarm {
  hasNeighbours: boolean;
  isTrusted: boolean;
  add(peer: string, digest: Digest, script: PeerScript): void;
  /** A neighbour tells that it holds a blob now. */
  announce(peer: string, digest: Digest, script: PeerScript): void;
  readonly strikes: { peer: string; offence: Offence }[];
  /** Chunks given, by peer. */
  readonly given: Map<string, number[]>;
  /** Keeps look-ups open after the last answer, as a DHT that goes on searching does. */
  keepsLooking: boolean;
  /** A neighbour comes, to take blobs together. */
  meet(peer: string, script?: TakerScript): void;
  /** It goes. */
  part(peer: string): void;
  /** It says something to this agent. */
  say(peer: string, message: FleetMessage): void;
  /** What this agent told, in order. */
  readonly told: { readonly peers: readonly string[]; readonly message: FleetMessage }[];
  /** Who attends. */
  readonly attendant: Attendant | undefined;
  /** Who was asked for which tag. */
  readonly askedTags: { readonly peer: string; readonly asked: AskedTag }[];
  /** What this agent tells of a tag. */
  tagTold(asked: AskedTag): SignedTag | undefined;
}

/** What the twins of all peers take for a peer's signature. */
export function signatureOf(signer: string, statement: Uint8Array): Uint8Array {
  return hash('sha512', Buffer.concat([Buffer.from(signer), statement]), 'buffer');
}

export function memorySwarm(): MemorySwarm {
  const takers = new Map<string, TakerScript & Neighbour>();
  let attendant: Attendant | undefined;
  let tagTeller: TagTeller = () => undefined;
  const peers: { peer: string; digest: Digest; script: PeerScript }[] = [];
  const announced: typeof peers = [];
  const twin: MemorySwarm = {
    hasNeighbours: true,
    isTrusted: false,
    keepsLooking: false,
    strikes: [],
    given: new Map(),
    add(peer, digest, script) {
      peers.push({ peer, digest, script });
    },
    announce(peer, digest, script) {
      announced.push({ peer, digest, script });
    },
    tellers(digest) {
      const telling = announced.filter((known) => known.digest === digest && !twin.isBanned(known.peer));
      return telling.map(({ peer, script }) => holder(peer, digest, script));
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
    peerId: 'this agent',
    told: [],
    get attendant() {
      return attendant;
    },
    meet(peer, script = {}) {
      const taker = { peer, ...script, address: script.address ?? `10.1.0.${takers.size}` };
      takers.set(peer, taker);
      attendant?.came({ peer, address: taker.address });
    },
    part(peer) {
      if (takers.delete(peer)) attendant?.left(peer);
    },
    say(peer, message) {
      if (takers.has(peer) && !twin.isBanned(peer)) attendant?.heard(peer, message);
    },
    neighbours: () =>
      [...takers.values()].filter(({ peer }) => !twin.isBanned(peer)).map(({ peer, address }) => ({ peer, address })),
    tell(told, message) {
      twin.told.push({ peers: [...told], message });
      for (const peer of told) takers.get(peer)?.heard?.(message);
    },
    async chunk(peer, digest, index, length, signal, into = Buffer.alloc(length)) {
      const taker = takers.get(peer);
      if (taker === undefined) throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
      if (taker.chunk === undefined) throw new AgentError('PEER_MISSING', 'as the script says');
      const { bytes, mark } = await taker.chunk(digest, index, signal);
      signal.throwIfAborted();
      if (bytes.length !== length) throw new AgentError('PEER_PROTOCOL', 'a chunk of another length');
      twin.given.set(peer, [...(twin.given.get(peer) ?? []), index]);
      into.set(bytes);
      return { bytes: into, mark };
    },
    sign: (statement) => signatureOf(twin.peerId, statement),
    verify: (signer, statement, signature) => Buffer.compare(signatureOf(signer, statement), signature) === 0,
    attend(next) {
      attendant = next;
      for (const { peer, address } of takers.values()) next.came({ peer, address });
    },
    askedTags: [],
    async tag(peer, asked, signal) {
      const taker = takers.get(peer);
      if (taker === undefined) throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
      twin.askedTags.push({ peer, asked });
      return await taker.tag?.(asked, signal);
    },
    tellTags(teller) {
      tagTeller = teller;
    },
    tagTold: (asked) => tagTeller(asked),
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
      map: async (signal) => {
        await script.map?.(signal);
        return map;
      },
      async chunk(index, length, signal, into = Buffer.alloc(length)) {
        await script.chunk?.(index, signal);
        signal.throwIfAborted();
        twin.given.set(peer, [...(twin.given.get(peer) ?? []), index]);
        const start = chunkStart(map.layout, index);
        into.set(script.bytes.subarray(start, start + length));
        return { bytes: into, mark: undefined };
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
