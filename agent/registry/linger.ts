import type { Duplex } from 'node:stream';

/** How long a client may take to close its side after the answer that ends the connection. Milliseconds. */
const LINGER = 2_000;

/**
 * Ends a connection so that its last answer arrives: what is written goes out, then FIN, and what the client still
 * sends is read and forgotten. Closing over unread bytes would reset the connection, and the answer might be lost with
 * it (RFC 9112, 9.6).
 */
export function endLingering(socket: Duplex): void {
  if (socket.destroyed || socket.writableEnded) return;
  socket.resume();
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
