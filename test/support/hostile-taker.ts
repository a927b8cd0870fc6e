import { randomBytes } from 'node:crypto';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { encode } from 'cborg';
import { createAsked } from './hostile-asked.ts';
import { createBoasts } from './hostile-boasts.ts';
import { answersTo, type TakerBehaviour } from './hostile-words.ts';
import { CHUNK_SIZE, digestOf } from './independent-blob.ts';
import { createNode } from './independent-node.ts';
import { coordinatorOf } from './independent-taking.ts';
import { CHUNKS, CONTROL, type Message, PATIENCE, parse, read, send, sha256, text } from './independent-wire.ts';

/*
 * A peer that knows docs/protocol.md and means harm to whoever takes a blob together with it. Like the independent peer
 * it imports nothing of agent/ or protocol/, not even a type, nor does what it imports
 * (test/house/hostile-programs.test.ts).
 */

export { TAKER_BEHAVIOURS, type TakerBehaviour } from './hostile-words.ts';

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
  /** Requests for chunks, and for the maps of blobs that it says it holds. */
  readonly chunksAsked: number;
  /** The same by who asked. */
  readonly askedBy: ReadonlyMap<string, number>;
  /** Connects to the agent at a multiaddr. */
  join(address: string): Promise<void>;
  stop(): Promise<void>;
}

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
  const node = await createNode({ privateKey, listen: [listen], networkKey });
  /** Its own control streams, by who is at the other end. */
  const controls = new Map<string, Stream>();
  const known = new Map(blobs.map((blob) => [digestOf(blob) as string, blob]));
  const sizes = new Map([...known].map(([digest, { length }]) => [digest, length]));
  const boasts = behaviour === 'boasts' || behaviour === 'puts-off' ? createBoasts(behaviour === 'boasts') : undefined;
  /** What it has where it has nothing. */
  const nothing = behaviour === 'puts-off' ? 'busy' : 'missing';
  let heard = 0;
  const asked = createAsked();

  const say = (to: Stream | undefined, message: Message | undefined): void => {
    if (to?.status === 'open' && message !== undefined) send(to, message);
  };

  const onMessage = (peer: string, message: Message): void => {
    const { type, digest, size } = message;
    const news = boasts?.news(message);
    if (news !== undefined) for (const control of controls.values()) say(control, news);
    if (type !== 'taking' && type !== 'claim') return;
    // Who hears `hold` leaves what was granted to it.
    if (boasts !== undefined && news === undefined) say(controls.get(peer), boasts.again(message));
    heard += 1;
    if (size !== null) sizes.set(text(digest), Number(size));
    for (const answer of answersTo(message, behaviour, self, peer)) say(controls.get(peer), answer);
  };

  const answerTo = (peer: string, { type, id, digest }: Message): Message => {
    if (type === 'map') asked.count(peer);
    const held = type === 'have' ? boasts?.holding(id, text(digest)) : undefined;
    return held ?? { type: nothing, id };
  };

  const onControl = async (stream: Stream, peer: string): Promise<void> => {
    for await (const body of read(stream).frames()) {
      const message = parse(body);
      if (typeof message.id === 'number') send(stream, answerTo(peer, message));
      else onMessage(peer, message);
    }
  };

  const onChunks = async (stream: Stream, peer: string): Promise<void> => {
    for await (const body of read(stream).frames()) {
      const { digest, index } = parse(body);
      asked.count(peer);
      const size = sizes.get(text(digest)) ?? CHUNK_SIZE;
      const length = Math.min(CHUNK_SIZE, size - Number(index) * CHUNK_SIZE);
      if (behaviour === 'empty' || boasts !== undefined || length <= 0) {
        send(stream, { type: nothing });
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
  await node.start();
  return {
    id: self,
    get addresses() {
      return node.getMultiaddrs().map(String);
    },
    get heard() {
      return heard;
    },
    get chunksAsked() {
      return asked.sum;
    },
    askedBy: asked.by,
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
