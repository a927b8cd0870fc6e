import type { MultiaddrConnection, Upgrader } from '@libp2p/interface';

type InboundOptions = Parameters<Upgrader['upgradeInbound']>[1];
type OutboundOptions = Parameters<Upgrader['upgradeOutbound']>[1];

/** What libp2p's TCP connections are, of which only this much matters here. */
interface SocketConnection extends MultiaddrConnection {
  readonly socket: { cork(): void; uncork(): void; write(bytes: Uint8Array): boolean };
  sendData(data: Iterable<Uint8Array> & { readonly byteLength: number }): { sentBytes: number; canSendMore: boolean };
}

/**
 * The same upgrader, for connections that hand what is sent at once to the kernel in one piece. Noise gives each frame
 * as length, ciphertext and tag, and libp2p writes each of them by itself: three calls into the kernel and three packets
 * a frame, and a wait for a drain between two of them.
 */
export function corked(upgrader: Upgrader): Upgrader {
  return {
    createInboundAbortSignal: (signal) => upgrader.createInboundAbortSignal(signal),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    upgradeInbound: (connection: MultiaddrConnection, options: InboundOptions) =>
      upgrader.upgradeInbound(inOnePiece(connection), options),
    upgradeOutbound: (connection: MultiaddrConnection, options: OutboundOptions) =>
      upgrader.upgradeOutbound(inOnePiece(connection), options),
  };
}

function inOnePiece(connection: MultiaddrConnection): MultiaddrConnection {
  const { socket } = connection as SocketConnection;
  (connection as SocketConnection).sendData = (data) => {
    let canSendMore = true;
    socket.cork();
    // All of it, also when the socket has enough: what is left back would wait for a drain between two halves of a frame.
    for (const bytes of data) canSendMore = socket.write(bytes);
    socket.uncork();
    return { sentBytes: data.byteLength, canSendMore };
  };
  return connection;
}
