/**
 * The yardstick of an exchange: a bare libp2p stream over TCP, Noise and yamux that carries zeros from one process to
 * another and does nothing with them.
 * Usage: bare-noise.ts send BYTES           prints {address} when it listens
 *        bare-noise.ts receive ADDRESS      prints {bytes, totalMs, cpu} at the end, cpu in seconds
 */
import { noise } from '@chainsafe/libp2p-noise';
import { identify } from '@libp2p/identify';
import type { Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { pEvent } from 'p-event';

const PROTOCOL = '/bare/1.0.0';
/** The piece that was fastest on this path. */
const PIECE = 256 * 1024;
const [, , role, argument = ''] = process.argv;

const node = await createLibp2p({
  addresses: { listen: role === 'send' ? ['/ip4/127.0.0.1/tcp/0'] : [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() },
});

if (role === 'send') {
  await node.handle(PROTOCOL, (stream: Stream) => {
    send(stream, Number(argument)).catch((error) => stream.abort(error));
  });
  console.log(JSON.stringify({ address: String(node.getMultiaddrs()[0]) }));
} else {
  const stream = await node.dialProtocol(multiaddr(argument), PROTOCOL);
  const started = performance.now();
  const before = process.cpuUsage();
  let bytes = 0;
  stream.addEventListener('message', (event) => {
    bytes += event.data.byteLength;
  });
  await pEvent(stream, 'remoteCloseWrite', { rejectionEvents: [] });
  const totalMs = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ bytes, totalMs, cpu: (user + system) / 1e6 }));
  await node.stop();
}

async function send(stream: Stream, total: number): Promise<void> {
  const piece = new Uint8Array(PIECE);
  for (let sent = 0; sent < total; sent += PIECE) {
    const more = stream.send(piece.subarray(0, Math.min(PIECE, total - sent)));
    if (!more) await pEvent(stream, 'drain', { rejectionEvents: ['close'] });
  }
  await stream.close();
}
