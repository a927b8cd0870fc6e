/**
 * The yardstick of a link: one plain TCP stream of zeros.
 * Usage: tcp-stream.ts send ADDRESS PORT BYTES   says {"ready": true} and sends to whoever connects
 *        tcp-stream.ts receive ADDRESS PORT      says {bytes, ms} at the end; ms from connecting to the last byte
 */
import { connect, createServer, type Socket } from 'node:net';

const PIECE = Buffer.alloc(256 * 1024);
const [, , role, host = '', port = '', total = ''] = process.argv;

if (role === 'send') {
  const server = createServer((socket) => send(socket, Number(total)));
  server.listen(Number(port), host, () => console.log(JSON.stringify({ ready: true })));
} else {
  const started = performance.now();
  let bytes = 0;
  const buffer = Buffer.alloc(256 * 1024);
  const callback = (read: number) => {
    bytes += read;
    return true;
  };
  const socket = connect({ host, port: Number(port), onread: { buffer, callback } });
  socket.on('end', () => {
    console.log(JSON.stringify({ bytes, ms: performance.now() - started }));
    process.exit(0);
  });
}

function send(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const piece = PIECE.subarray(0, Math.min(left, PIECE.length));
      left -= piece.length;
      if (!socket.write(piece)) return;
    }
    socket.end();
  };
  socket.on('drain', more);
  socket.on('error', () => socket.destroy());
  more();
}
