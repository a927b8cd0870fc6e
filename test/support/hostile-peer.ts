import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import { hostOf } from '../../agent/swarm/address.ts';
import { openDatastore } from '../../agent/swarm/datastore.ts';
import { noisePrologue, parseNetworkKey } from '../../agent/swarm/key.ts';
import { createNode, parseMultiaddr, startNode } from '../../agent/swarm/node.ts';
import { createSigning, type Signing } from '../../agent/swarm/signing.ts';
import { readStream } from '../../agent/swarm/stream/reader.ts';
import { chunkMapRoot, encodeChunkMap } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../protocol/digest.ts';
import { encodeFrame } from '../../protocol/frame.ts';
import {
  type ChunkAnswer,
  type ControlAnswer,
  chunkAnswers,
  chunkRequests,
  controlAnswers,
  controlRequests,
  laneAnswers,
} from '../../protocol/messages.ts';
import { BULK_PROTOCOL, CHUNKS_PROTOCOL, CONTROL_PROTOCOL } from '../../protocol/names.ts';
import type { AskedTag, SignedTag } from '../../protocol/tag-record.ts';
import { mapOf } from './holdings.ts';
import { listenForLane } from './hostile-lane.ts';

/** How a peer misbehaves; all but `honest` say that they hold the blob. */
export const BEHAVIOURS = {
  honest: 'does all as it should',
  flip: 'gives the true map and chunks with one bit flipped',
  'flip-some': 'gives the true map, and one chunk in twenty with one bit flipped',
  'false-map': 'gives a map of flipped chunks, and those chunks: each matches, the whole does not',
  'wrong-map': 'gives a map that has not the root it claimed',
  'wrong-answer': 'answers a question for its map, or for a tag, with what it answers to `have`',
  stall: 'sends half a chunk, then nothing, and keeps the stream open',
  silent: 'takes chunk requests and never answers',
  cut: 'sends half a chunk and resets the stream',
  missing: 'says that it has no such chunk',
  busy: 'says that it is busy',
  dribble: 'sends a chunk at one byte a second',
  garbage: 'answers chunk requests with bytes that are no frame',
  'garbage-control': 'answers control requests with bytes that are no frame',
  deaf: 'reads nothing on control streams',
  'wrong-length': 'announces a chunk one byte longer than it is',
} as const;

export type Behaviour = keyof typeof BEHAVIOURS;

const FLIPPING: ReadonlySet<Behaviour> = new Set(['flip', 'flip-some', 'false-map']);

export interface HostilePeerInit {
  readonly listen: readonly string[];
  /** Multiaddrs to connect to once. @default [] */
  readonly dial?: readonly string[];
  readonly blobs: readonly Uint8Array[];
  readonly behaviour: Behaviour;
  readonly networkKey?: Uint8Array;
  /**
   * `misused`: it has one, and all it does wrong with chunks it does there, honest by libp2p. `garbage`: it answers who
   * wants a lane with bytes that are no frame.
   * @default it knows of no lanes, like an older agent
   */
  readonly lane?: 'misused' | 'garbage';
  /** What it says that a tag is. @default nothing */
  tag?(asked: AskedTag, self: TagSigner): SignedTag | undefined;
}

/** Who signs for a tag. */
export interface TagSigner {
  readonly peerId: string;
  readonly signing: Signing;
}

export interface HostilePeer {
  readonly peerId: string;
  readonly addresses: string[];
  /** Digests it claims to hold. */
  readonly digests: Digest[];
  /** Chunk requests that came. */
  readonly chunksAsked: number;
  /** Bodies that it sent by a lane, or began to. */
  readonly laneBodies: number;
  /** Tags it was asked for. */
  readonly tagsAsked: readonly AskedTag[];
  /** Opens a stream to a peer, to send on it whatever a test likes. */
  open(address: string, protocol: string): Promise<Stream>;
  stop(): Promise<void>;
}

/** A peer that joins like an agent and answers as its behaviour has it. */
export async function startHostilePeer(init: HostilePeerInit): Promise<HostilePeer> {
  const { behaviour } = init;
  const claims = new Map<Digest, Claimed>();
  for (const bytes of init.blobs) {
    const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
    claims.set(digest, { bytes, shown: FLIPPING.has(behaviour) ? flipped(bytes) : bytes });
  }
  const datastore = openDatastore(undefined);
  const privateKey = await generateKeyPair('Ed25519');
  const signing = createSigning(privateKey);
  const node = await createNode({
    privateKey,
    listen: init.listen,
    prologue: noisePrologue(init.networkKey),
    gater: {},
    datastore,
    dht: false,
    discovery: [],
  });
  const stopped = new AbortController();
  const lane = init.lane === 'misused' ? await listenForLane(hostOf(parseMultiaddr(init.listen[0] ?? ''))) : undefined;
  let chunksAsked = 0;
  const tagsAsked: AskedTag[] = [];
  /** Streams that stopped in mid-chunk: one more byte on them would be taken for the rest of that chunk. */
  const stalled = new WeakSet<Stream>();

  const answerControl = (body: Uint8Array): ControlAnswer | undefined => {
    const request = controlRequests.decode(body);
    // What agents announce is nothing to it, and it announces nothing.
    if (request === undefined || !('id' in request)) return undefined;
    const { id } = request;
    if (request.type === 'tag') {
      if (behaviour === 'wrong-answer') return { type: 'holding', id, size: 0, root: new Uint8Array(32) };
      tagsAsked.push(request);
      const told = init.tag?.(request, { peerId: node.peerId.toString(), signing });
      if (told === undefined) return { type: 'missing', id };
      const { signer, signature, ...checked } = told;
      return { type: 'tag', id, ...checked, mark: [signer, signature] };
    }
    const { digest } = request;
    const claim = claims.get(digest);
    if (claim === undefined) return { type: 'missing', id };
    const map = mapOf(digest, behaviour === 'false-map' ? claim.shown : claim.bytes);
    if (request.type === 'have' || behaviour === 'wrong-answer') {
      const root = behaviour === 'wrong-map' ? '00'.repeat(32) : chunkMapRoot(map);
      return { type: 'holding', id, size: claim.bytes.length, root: Buffer.from(root, 'hex') };
    }
    return { type: 'map', id, map: encodeChunkMap(map) };
  };

  const sayChunk = (stream: Stream, answer: ChunkAnswer) => stream.send(encodeFrame(chunkAnswers.encode(answer)));
  const answerChunk = async (stream: Stream, body: Uint8Array): Promise<void> => {
    chunksAsked += 1;
    const request = chunkRequests.decode(body);
    const claim = request && claims.get(request.digest);
    const tag = request?.lane;
    if (lane !== undefined) {
      const bytes = request && claim && chunkOf(claim, request.index, tag === undefined ? 'honest' : behaviour);
      if (bytes === undefined) return void sayChunk(stream, { type: 'missing' });
      const { length } = bytes;
      sayChunk(stream, { type: 'chunk', length, mark: null, ...(tag === undefined ? {} : { lane: true }) });
      if (tag === undefined) return void stream.send(bytes);
      // Silent from the first half on: more would be taken for the rest of it.
      if (behaviour === 'stall' && lane.bodies > 0) return;
      const isHalf = behaviour === 'stall' || behaviour === 'cut';
      lane.send(tag, isHalf ? bytes.subarray(0, length / 2) : bytes, length);
      if (behaviour === 'cut') lane.cut();
      return;
    }
    if (behaviour === 'silent' || stalled.has(stream)) return;
    if (behaviour === 'garbage') return void stream.send(Buffer.alloc(64, 0xff));
    if (behaviour === 'busy') return void sayChunk(stream, { type: 'busy' });
    if (request === undefined || claim === undefined || behaviour === 'missing') {
      return void sayChunk(stream, { type: 'missing' });
    }
    const chunk = chunkOf(claim, request.index, behaviour);
    const length = behaviour === 'wrong-length' ? chunk.length + 1 : chunk.length;
    sayChunk(stream, { type: 'chunk', length, mark: null });
    if (behaviour === 'stall' || behaviour === 'cut') {
      stream.send(chunk.subarray(0, chunk.length / 2));
      stalled.add(stream);
      if (behaviour === 'cut') stream.abort(new Error('cut'));
      return;
    }
    if (behaviour !== 'dribble') return void stream.send(chunk);
    for (let at = 0; at < chunk.length && stream.status === 'open' && !stopped.signal.aborted; at++) {
      stream.send(chunk.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 1_000).unref());
    }
  };

  const serve = (protocol: string, answer: (stream: Stream, body: Uint8Array) => Promise<void> | void) =>
    node.handle(
      protocol,
      (stream) => {
        if (behaviour === 'deaf' && protocol === CONTROL_PROTOCOL) return stream.pause();
        const reader = readStream(stream, { frameTimeout: 60_000 });
        const loop = async (): Promise<void> => {
          for (;;) {
            const body = await reader.readFrame(stopped.signal);
            if (body === undefined) return;
            await answer(stream, body);
          }
        };
        loop().catch((error) => stream.abort(error));
      },
      { maxInboundStreams: 64 },
    );
  await serve(CONTROL_PROTOCOL, (stream, body) => {
    if (behaviour === 'garbage-control') return void stream.send(Buffer.alloc(64, 0xff));
    const answer = answerControl(body);
    if (answer !== undefined) stream.send(encodeFrame(controlAnswers.encode(answer)));
  });
  await serve(CHUNKS_PROTOCOL, answerChunk);
  if (init.lane !== undefined) {
    await serve(BULK_PROTOCOL, (stream) => {
      stream.send(lane === undefined ? Buffer.alloc(64, 0xff) : encodeFrame(laneAnswers.encode(lane.offer())));
    });
  }
  await startNode(node, init.listen);
  for (const address of init.dial ?? []) await node.dial(parseMultiaddr(address));
  return {
    peerId: node.peerId.toString(),
    get addresses() {
      return node.getMultiaddrs().map(String);
    },
    digests: [...claims.keys()],
    get chunksAsked() {
      return chunksAsked;
    },
    get laneBodies() {
      return lane?.bodies ?? 0;
    },
    tagsAsked,
    open: (address, protocol) => node.dialProtocol(parseMultiaddr(address), protocol),
    async stop() {
      stopped.abort(new Error('stopped'));
      lane?.close();
      for (const connection of node.getConnections()) connection.abort(new Error('stopped'));
      await node.stop();
      datastore.close();
    },
  };
}

interface Claimed {
  readonly bytes: Uint8Array;
  /** What it gives, where it flips bits. */
  readonly shown: Uint8Array;
}

function chunkOf({ bytes, shown }: Claimed, index: number, behaviour: Behaviour): Uint8Array {
  const layout = layoutOf(bytes.length);
  const start = chunkStart(layout, index);
  const isTrue = !FLIPPING.has(behaviour) || (behaviour === 'flip-some' && index % 20 !== 0);
  return (isTrue ? bytes : shown).subarray(start, start + chunkLength(layout, index));
}

/** A copy with one bit of every chunk flipped. */
function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const layout = layoutOf(bytes.length);
  for (let index = 0; index < layout.count; index++) {
    const middle = chunkStart(layout, index) + Math.floor(chunkLength(layout, index) / 2);
    copy[middle] = (copy[middle] ?? 0) ^ 1;
  }
  return copy;
}

/** `node hostile-peer.ts --listen MULTIADDR --dial MULTIADDR --file BLOB --behaviour flip [--key FILE]`, each but the last two repeatable. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', multiple: true, default: ['/ip4/0.0.0.0/tcp/0'] },
      dial: { type: 'string', multiple: true, default: [] },
      file: { type: 'string', multiple: true, default: [] },
      behaviour: { type: 'string', default: 'flip' },
      key: { type: 'string' },
    },
  });
  const behaviour = values.behaviour as Behaviour;
  if (!(behaviour in BEHAVIOURS)) throw new Error(`--behaviour is one of ${Object.keys(BEHAVIOURS).join(', ')}`);
  const key = values.key === undefined ? undefined : parseNetworkKey(await readFile(values.key, 'utf8'));
  const peer = await startHostilePeer({
    listen: values.listen,
    dial: values.dial,
    blobs: await Promise.all(values.file.map((path) => readFile(path))),
    behaviour,
    ...(key === undefined ? {} : { networkKey: key }),
  });
  console.log(JSON.stringify({ peerId: peer.peerId, addresses: peer.addresses, digests: peer.digests, behaviour }));
  const stop = () => {
    peer.stop().finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main();
