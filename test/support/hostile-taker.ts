import { randomBytes } from 'node:crypto';
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import type { Ed25519PrivateKey, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { encode } from 'cborg';
import { createLibp2p } from 'libp2p';
import { prologueOf } from './independent-peer.ts';
import { coordinatorOf } from './independent-taking.ts';
import { type Message, PATIENCE, parse, read, send, sha256, text } from './independent-wire.ts';

/*
 * A peer that knows docs/protocol.md and means harm to whoever takes a blob together with it. Like the independent peer
 * it imports nothing of agent/ or protocol/.
 */

/** What it does; whatever is not said it does not do at all. */
export const TAKER_BEHAVIOURS = {
  empty: 'says that it has every chunk of everything, and has none',
  lies: 'says so, and gives false chunks that it signs itself',
  slips: 'says so, and gives true chunks, but one of twenty false, all of which it signs itself',
  forges: 'says so, and gives false chunks under somebody else’s name',
  unsigned: 'says so, and gives false chunks that nobody signs',
  stalls: 'says so, and stops in the middle of the first chunk',
  hoards: 'says that it takes everything from upstream, and nothing comes of it',
  refuses: 'refuses every claim, and names nobody',
  names: 'refuses every claim, and names peers that there are none of',
  grants: 'grants everybody everything',
  accuses: 'accuses whoever takes anything',
} as const;

export type TakerBehaviour = keyof typeof TAKER_BEHAVIOURS;

export interface HostileTakerInit {
  readonly listen: string;
  readonly behaviour: TakerBehaviour;
  /** Bytes of the fleet's key: a liar may well have it. @default none */
  readonly networkKey?: Uint8Array;
  /** What it gives true chunks of, where it does. @default [] */
  readonly blobs?: readonly Uint8Array[];
  /** Makes itself the coordinator of this blob, among these. */
  readonly leads?: { readonly digest: string; readonly among: readonly string[] };
}

export interface HostileTaker {
  readonly id: string;
  /** Multiaddrs where it is reached. */
  readonly addresses: readonly string[];
  /** Fleet messages that it heard. */
  readonly heard: number;
  readonly chunksAsked: number;
  /** Connects to the agent at a multiaddr. */
  join(address: string): Promise<void>;
  stop(): Promise<void>;
}

const CONTROL = '/layerlan/control/1.0.0';
const CHUNKS = '/layerlan/chunks/1.0.0';
const CHUNK_SIZE = 1024 * 1024;
const MOST_CHUNKS = 16_384;
/** Of so many chunks one is false. */
const SLIPS_EVERY = 20;

export async function startHostileTaker({
  listen,
  behaviour,
  networkKey,
  leads,
  blobs = [],
}: HostileTakerInit): Promise<HostileTaker> {
  const privateKey = await keyFor(leads);
  const self = peerIdFromPrivateKey(privateKey).toString();
  const node = await createLibp2p({
    privateKey,
    addresses: { listen: [listen] },
    transports: [tcp()],
    connectionEncrypters: [noise({ prologueBytes: prologueOf(networkKey) })],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  });
  /** Its own control streams, by who is at the other end. */
  const controls = new Map<string, Stream>();
  const sizes = new Map<string, number>();
  const known = new Map(blobs.map((blob) => [`sha256:${sha256(blob).toString('hex')}`, blob]));
  let heard = 0;
  let chunksAsked = 0;

  const onMessage = (peer: string, message: Message): void => {
    const { type, digest, size } = message;
    if (type !== 'taking' && type !== 'claim') return;
    heard += 1;
    if (size !== null) sizes.set(text(digest), Number(size));
    const control = controls.get(peer);
    if (control?.status !== 'open') return;
    for (const answer of answersTo(message, behaviour, self, peer)) send(control, answer);
  };

  const onControl = async (stream: Stream, peer: string): Promise<void> => {
    const incoming = read(stream);
    for (let body = await incoming.frame(); body !== undefined; body = await incoming.frame()) {
      const message = parse(body);
      if (typeof message.id === 'number') send(stream, { type: 'missing', id: message.id });
      else onMessage(peer, message);
    }
  };

  const onChunks = async (stream: Stream, peer: string): Promise<void> => {
    const incoming = read(stream);
    for (let body = await incoming.frame(); body !== undefined; body = await incoming.frame()) {
      const { digest, index } = parse(body);
      chunksAsked += 1;
      const size = sizes.get(text(digest)) ?? CHUNK_SIZE;
      const length = Math.min(CHUNK_SIZE, size - Number(index) * CHUNK_SIZE);
      if (behaviour === 'empty' || length < 0) {
        send(stream, { type: 'missing' });
        continue;
      }
      const whole = behaviour === 'slips' ? known.get(text(digest)) : undefined;
      const start = Number(index) * CHUNK_SIZE;
      const isTrue = whole !== undefined && Number(index) % SLIPS_EVERY !== 0;
      const chunk = isTrue ? whole.subarray(start, start + length) : randomBytes(length);
      const statement = encode(['layerlan/mark/1', digest, size, index, sha256(chunk)]);
      const mark = [behaviour === 'forges' ? peer : self, await privateKey.sign(statement)];
      send(stream, { type: 'chunk', length, mark: behaviour === 'unsigned' ? null : mark });
      stream.send(behaviour === 'stalls' ? chunk.subarray(0, length / 2) : chunk);
      if (behaviour === 'stalls') return;
    }
  };

  const serve = (protocol: string, answer: (stream: Stream, peer: string) => Promise<void>) =>
    node.handle(
      protocol,
      (stream, { remotePeer }) => {
        answer(stream, remotePeer.toString()).catch((error) => stream.abort(error));
      },
      { maxInboundStreams: 64 },
    );
  node.addEventListener('connection:open', ({ detail: connection }) => {
    connection
      .newStream(CONTROL, { signal: AbortSignal.timeout(PATIENCE) })
      .then((stream) => controls.set(connection.remotePeer.toString(), stream))
      .catch(() => {});
  });
  await serve(CONTROL, onControl);
  await serve(CHUNKS, onChunks);
  return {
    id: self,
    get addresses() {
      return node.getMultiaddrs().map(String);
    },
    get heard() {
      return heard;
    },
    get chunksAsked() {
      return chunksAsked;
    },
    async join(address) {
      const signal = AbortSignal.timeout(PATIENCE);
      await node.dial(multiaddr(address), { signal });
    },
    async stop() {
      for (const connection of node.getConnections()) connection.abort(new Error('stopped'));
      await node.stop();
    },
  };
}

/** A key whose peer id leads, where that is wanted: ids are free. */
async function keyFor(leads: HostileTakerInit['leads']): Promise<Ed25519PrivateKey> {
  for (;;) {
    const key = await generateKeyPair('Ed25519');
    const id = peerIdFromPrivateKey(key).toString();
    if (leads === undefined || coordinatorOf(leads.digest, [id, ...leads.among]) === id) return key;
  }
}

function answersTo({ type, digest, size }: Message, behaviour: TakerBehaviour, self: string, peer: string): Message[] {
  const count = size === null ? 1 : Math.ceil(Number(size) / CHUNK_SIZE);
  const state = (marks: Uint8Array, leases: number[][]): Message => ({
    type: 'taking',
    digest,
    size,
    marks,
    mapped: null,
    leases,
    received: 0,
  });
  const none = new Uint8Array(Math.max(1, Math.ceil(count / 8)));
  switch (behaviour) {
    case 'empty':
    case 'lies':
    case 'slips':
    case 'forges':
    case 'unsigned':
    case 'stalls': {
      const all = none.map((_, at) => (at < Math.floor(count / 8) ? 0xff : 2 ** (count % 8) - 1));
      return [state(all, [])];
    }
    case 'hoards':
      return [state(none, [[0, count]])];
    case 'refuses':
      return type === 'claim' ? [{ type: 'refuse', digest, fetching: [], partners: [] }] : [];
    case 'names': {
      const nobody = ['12D3KooWHoSyTgntm77sXShoeX9uNkqKNMhHxKtskaHqnA54SrSG', self];
      return type === 'claim' ? [{ type: 'refuse', digest, fetching: nobody, partners: nobody }] : [];
    }
    case 'grants':
      return type === 'claim' ? [{ type: 'grant', digest, segment: [0, MOST_CHUNKS], partners: [] }] : [];
    case 'accuses':
      return [{ type: 'accuse', digest, size: 1, index: 0, sha256: Buffer.alloc(32), mark: [peer, Buffer.alloc(64)] }];
  }
}
