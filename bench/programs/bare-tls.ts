/**
 * What an exchange by a bulk lane has to be measured by: TLS 1.3 by a pre-shared key from one process to another, each of
 * one thread. The receiver does what cannot be left out: it hashes each chunk and the whole, and writes them to a file.
 * Usage: bare-tls.ts send BYTES            prints {port} when it listens
 *        bare-tls.ts receive PORT FILE     prints {bytes, totalMs, cpu} at the end, cpu in seconds
 */
import { createHash, hash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { AddressInfo, OnReadOpts } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';

const CHUNK = 1024 * 1024;
/** As much as one read of a socket gives. */
const READ = 64 * 1024;
/** The same for both processes: what is measured is no secret. */
const KEY = Buffer.alloc(32, 1);
const TLS = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', ecdhCurve: 'X25519' } as const;
const [, , role, argument = '', file = ''] = process.argv;

if (role === 'send') {
  const server = createServer({ ...TLS, pskCallback: () => KEY }, (socket) => void send(socket, Number(argument)));
  server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
} else {
  console.log(JSON.stringify(await receive(Number(argument))));
}

async function send(socket: TLSSocket, total: number): Promise<void> {
  const chunk = Buffer.alloc(CHUNK, 'zeros would do');
  for (let sent = 0; sent < total; sent += CHUNK) {
    if (!socket.write(chunk.subarray(0, Math.min(CHUNK, total - sent)))) await once(socket, 'drain');
  }
  socket.end();
}

async function receive(port: number): Promise<{ bytes: number; totalMs: number; cpu: number }> {
  const into = openSync(file, 'w');
  const whole = createHash('sha256');
  const chunk = Buffer.allocUnsafeSlow(CHUNK);
  let at = 0;
  let bytes = 0;
  const full = (): void => {
    const part = chunk.subarray(0, at);
    hash('sha256', part, 'buffer');
    whole.update(part);
    writeSync(into, part);
    at = 0;
  };
  const take = (part: Uint8Array): void => {
    bytes += part.length;
    for (let from = 0; from < part.length; ) {
      const piece = part.subarray(from, from + CHUNK - at);
      chunk.set(piece, at);
      at += piece.length;
      from += piece.length;
      if (at === CHUNK) full();
    }
  };
  const options: ConnectionOptions & { onread: OnReadOpts } = {
    ...TLS,
    host: '127.0.0.1',
    port,
    pskCallback: () => ({ psk: KEY, identity: 'bench' }),
    checkServerIdentity: () => undefined,
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ),
      callback: (length, buffer) => {
        take(buffer.subarray(0, length));
        return true;
      },
    },
  };
  const started = performance.now();
  const before = process.cpuUsage();
  const socket = connect(options);
  await once(socket, 'end');
  full();
  whole.digest();
  closeSync(into);
  const totalMs = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  socket.destroy();
  return { bytes, totalMs, cpu: (user + system) / 1e6 };
}
