import { once } from 'node:events';
import type { Socket, TcpSocketConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { readStream } from '../../agent/swarm/stream/reader.ts';
import { BODY_HEAD_LENGTH, type BodyHead, decodeBodyHead } from '../../protocol/bulk.ts';
import type { Digest } from '../../protocol/digest.ts';
import { encodeFrame } from '../../protocol/frame.ts';
import {
  type ChunkAnswer,
  chunkAnswers,
  chunkRequests,
  type LaneAnswer,
  laneAnswers,
  laneRequests,
} from '../../protocol/messages.ts';
import { BULK_PROTOCOL, CHUNKS_PROTOCOL } from '../../protocol/names.ts';
import type { HostilePeer } from './hostile-peer.ts';

/* A lane taken apart: the agreement, the connection and the requests, each for a test to do wrong. */

/** Ends what hangs. ms */
const PATIENCE = 20_000;

export type Offer = Extract<LaneAnswer, { type: 'lane' }>;

/** Asks an agent for a lane. @throws where it offers none */
export async function askLane(peer: HostilePeer, address: string): Promise<Offer> {
  const stream = await peer.open(address, BULK_PROTOCOL);
  const reader = readStream(stream, { frameTimeout: PATIENCE });
  try {
    stream.send(encodeFrame(laneRequests.encode({ type: 'lane' })));
    const body = await reader.readFrame(AbortSignal.timeout(PATIENCE));
    const answer = body && laneAnswers.decode(body);
    if (answer?.type !== 'lane') throw new Error('no lane is offered');
    return answer;
  } finally {
    reader.detach();
    stream.abort(new Error('answered'));
  }
}

/** Connects as an asker would, or as `over` has it. @throws where the handshake fails */
export async function connectLane(
  host: string,
  offer: Offer,
  over: ConnectionOptions & Pick<TcpSocketConnectOpts, 'localAddress'> = {},
): Promise<TLSSocket> {
  const socket = connect({
    host,
    port: offer.port,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
    pskCallback: () => ({ psk: offer.key, identity: Buffer.from(offer.ticket).toString('hex') }),
    checkServerIdentity: () => undefined,
    ...over,
  });
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(PATIENCE) });
  // A test that is told nothing of it waits for `close`.
  socket.on('error', () => {});
  return socket;
}

/** Resolves once the other side has ended it. */
export async function ended(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(PATIENCE) });
}

/** The only body on a lane that was not read so far: where it is, and it alone, the lane has what it should. */
export async function readBody(socket: TLSSocket): Promise<{ tag: number; bytes: Buffer }> {
  const pieces: Buffer[] = [];
  let missing = BODY_HEAD_LENGTH;
  let head: BodyHead | undefined;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = setTimeout(() => reject(new Error(`${missing} bytes of a body are missing`)), PATIENCE);
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    missing -= piece.length;
    if (head === undefined && missing <= 0) {
      head = decodeBodyHead(Buffer.concat(pieces));
      missing += head.length;
    }
    if (head !== undefined && missing <= 0) resolve();
  });
  await promise.finally(() => clearTimeout(late));
  return { tag: head?.tag ?? 0, bytes: Buffer.concat(pieces).subarray(BODY_HEAD_LENGTH) };
}

export interface Asking {
  ask(digest: Digest, index: number, lane?: number): void;
  answer(): Promise<ChunkAnswer | undefined>;
  /** The bytes behind an answer. */
  bytes(length: number): Promise<Uint8Array>;
}

/** A chunk stream to an agent. */
export async function openChunks(peer: HostilePeer, address: string): Promise<Asking> {
  const stream = await peer.open(address, CHUNKS_PROTOCOL);
  const reader = readStream(stream, { frameTimeout: PATIENCE });
  return {
    ask: (digest, index, lane) => {
      stream.send(encodeFrame(chunkRequests.encode({ digest, index, ...(lane === undefined ? {} : { lane }) })));
    },
    async answer() {
      const body = await reader.readFrame(AbortSignal.timeout(PATIENCE));
      return body && chunkAnswers.decode(body);
    },
    async bytes(length) {
      const into = Buffer.alloc(length);
      await reader.readExactly(length, AbortSignal.timeout(PATIENCE), () => {}, into);
      return into;
    },
  };
}
