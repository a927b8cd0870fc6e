import { readFile } from 'node:fs/promises';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { BEHAVIOURS, type Behaviour, type Claim, claimOf } from './hostile-behaviours.ts';
import { createChunkAnswering } from './hostile-chunks.ts';
import { type AskedTag, createControlAnswering, type TagWord } from './hostile-control.ts';
import { listenForLane } from './hostile-lane.ts';
import { digestOf } from './independent-blob.ts';
import { createNode, parseKey } from './independent-node.ts';
import { BULK, CHUNKS, CONTROL, type Message, parse, read, send } from './independent-wire.ts';

/*
 * A peer that knows docs/protocol.md and claims to hold blobs. Like the independent peer it imports nothing of agent/
 * or protocol/, not even a type, nor does what it imports (test/house/hostile-programs.test.ts).
 */

export { BEHAVIOURS, type Behaviour } from './hostile-behaviours.ts';
export type { TagSigner } from './hostile-control.ts';

/** In the shape of the agent's own type, so that a test can put what is claimed here to an agent. */
type Digest = `sha256:${string}` & { readonly __digest: true };

/** What nobody takes for a frame. */
const GARBAGE = Buffer.alloc(64, 0xff);

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
  readonly tag?: TagWord;
}

export interface HostilePeer {
  readonly peerId: string;
  readonly addresses: string[];
  /** Digests it claims to hold. */
  readonly digests: Digest[];
  /** Chunk requests that came. */
  readonly chunksAsked: number;
  /** The same by who asked. */
  readonly askedBy: ReadonlyMap<string, number>;
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
  const { behaviour, listen, networkKey } = init;
  const claims = new Map<string, Claim>();
  for (const blob of init.blobs) {
    const digest = digestOf(blob);
    claims.set(digest, claimOf(digest, blob, behaviour));
  }
  const privateKey = await generateKeyPair('Ed25519');
  const node = await createNode({ privateKey, listen, networkKey });
  const stopped = new AbortController();
  const host = multiaddr(listen[0]).getComponents()[0]?.value ?? '';
  const lane = init.lane === 'misused' ? await listenForLane(host) : undefined;
  const control = createControlAnswering({ behaviour, claims, privateKey, tag: init.tag });
  const chunks = createChunkAnswering({ behaviour, claims, lane, stopped: stopped.signal });

  const serve = (protocol: string, answer: (stream: Stream, message: Message, peer: string) => Promise<void> | void) =>
    node.handle(
      protocol,
      (stream, { remotePeer }) => {
        if (behaviour === 'deaf' && protocol === CONTROL) return stream.pause();
        const loop = async (): Promise<void> => {
          for await (const body of read(stream).frames()) await answer(stream, parse(body), remotePeer.toString());
        };
        loop().catch((error) => stream.abort(error));
      },
      { maxInboundStreams: 64 },
    );
  await serve(CONTROL, (stream, message) => {
    if (behaviour === 'garbage-control') return void stream.send(GARBAGE);
    const answer = control.answer(message);
    if (answer !== undefined) send(stream, answer);
  });
  await serve(CHUNKS, chunks.answer);
  if (init.lane !== undefined) {
    await serve(BULK, (stream) => {
      if (lane === undefined) stream.send(GARBAGE);
      else send(stream, lane.offer());
    });
  }
  await node.start();
  for (const address of init.dial ?? []) await node.dial(multiaddr(address));
  return {
    peerId: node.peerId.toString(),
    get addresses() {
      return node.getMultiaddrs().map(String);
    },
    digests: [...claims.keys()] as Digest[],
    get chunksAsked() {
      return chunks.asked.sum;
    },
    askedBy: chunks.asked.by,
    get laneBodies() {
      return lane?.bodies ?? 0;
    },
    tagsAsked: control.tagsAsked,
    open: (address, protocol) => node.dialProtocol(multiaddr(address), protocol),
    async stop() {
      stopped.abort(new Error('stopped'));
      lane?.close();
      for (const connection of node.getConnections()) connection.abort(new Error('stopped'));
      await node.stop();
    },
  };
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
  const key = values.key === undefined ? undefined : parseKey(await readFile(values.key, 'utf8'));
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
