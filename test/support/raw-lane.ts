import { once } from 'node:events';
import type { Socket, TcpSocketConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { HostilePeer } from './hostile-peer.ts';
import { BULK, bytes, CHUNKS, type Message, PATIENCE, parse, read, send } from './independent-wire.ts';

/*
 * A lane taken apart: the agreement, the connection and the requests, each for a test to do wrong. "Bulk lanes" of
 * docs/protocol.md; see hostile-peer.ts for what may be imported here.
 */

/** Bytes before a body. */
const BODY_HEAD = 8;

export interface Offer {
  readonly port: number;
  readonly ticket: Uint8Array;
  readonly key: Uint8Array;
}

export interface ChunkAnswer {
  readonly type: unknown;
  /** Bytes of the chunk, where the answer is one. */
  readonly length: number;
  readonly lane?: unknown;
}

/** Asks an agent for a lane. @throws where it offers none */
export async function askLane(peer: HostilePeer, address: string): Promise<Offer> {
  const stream = await peer.open(address, BULK);
  try {
    send(stream, { type: 'lane' });
    const { type, port, ticket, key } = parse(await read(stream).frame());
    if (type !== 'lane') throw new Error('no lane is offered');
    return { port: Number(port), ticket: bytes(ticket), key: bytes(key) };
  } finally {
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
  let missing = BODY_HEAD;
  let tag: number | undefined;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = setTimeout(() => reject(new Error(`${missing} bytes of a body are missing`)), PATIENCE);
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    missing -= piece.length;
    if (tag === undefined && missing <= 0) {
      const head = Buffer.concat(pieces);
      tag = head.readUInt32BE(0);
      missing += head.readUInt32BE(4);
    }
    if (tag !== undefined && missing <= 0) resolve();
  });
  await promise.finally(() => clearTimeout(late));
  return { tag: tag ?? 0, bytes: Buffer.concat(pieces).subarray(BODY_HEAD) };
}

export interface Asking {
  ask(digest: string, index: number, lane?: number): void;
  answer(): Promise<ChunkAnswer>;
  /** The bytes behind an answer. */
  bytes(length: number): Promise<Uint8Array>;
}

/** A chunk stream to an agent. */
export async function openChunks(peer: HostilePeer, address: string): Promise<Asking> {
  const stream = await peer.open(address, CHUNKS);
  const incoming = read(stream);
  return {
    ask: (digest, index, lane) => send(stream, { digest, index, ...(lane === undefined ? {} : { lane }) }),
    answer: async () => parse(await incoming.frame()) as Message & ChunkAnswer,
    bytes: incoming.exactly,
  };
}
