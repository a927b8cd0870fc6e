/**
 * Takes one URL and throws its bytes away as cheaply as Node can, so that what is measured is the server.
 * Usage: drain.ts URL [--rate BYTES_PER_SECOND] [--stop-after BYTES]
 * Prints one line of JSON: {status, bytes, firstByteMs, totalMs}. With --stop-after it prints when it stops reading and
 * then holds the connection until it is ended.
 */
import { connect } from 'node:net';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rate: { type: 'string' }, 'stop-after': { type: 'string' } },
});
const url = new URL(positionals[0] ?? '');
const rate = Number(values.rate ?? Number.POSITIVE_INFINITY);
const stopAfter = Number(values['stop-after'] ?? Number.POSITIVE_INFINITY);

const started = performance.now();
let head = '';
let status = 0;
let length = Number.POSITIVE_INFINITY;
let bytes = 0;
let firstByteMs = 0;

const socket = connect({
  host: url.hostname,
  port: Number(url.port),
  onread: { buffer: Buffer.alloc(256 * 1024), callback: received },
});
socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`);
socket.on('end', report);
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});

function received(read: number, buffer: Uint8Array): boolean {
  const body = status === 0 ? behindHead(buffer.subarray(0, read)) : read;
  if (body > 0 && bytes === 0) firstByteMs = performance.now() - started;
  bytes += body;
  if (bytes >= stopAfter) {
    report();
    return false;
  }
  if (bytes >= length) {
    socket.destroy();
    report();
    return false;
  }
  const due = (bytes / rate) * 1000 - (performance.now() - started);
  if (due <= 1) return true;
  setTimeout(() => socket.resume(), due);
  return false;
}

/** How many of the bytes read so far are body. */
function behindHead(piece: Uint8Array): number {
  head += Buffer.from(piece).toString('latin1');
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  status = Number(head.slice(9, 12));
  length = Number(/content-length: (\d+)/i.exec(head.slice(0, end))?.[1] ?? Number.POSITIVE_INFINITY);
  return head.length - end - 4;
}

function report(): void {
  console.log(JSON.stringify({ status, bytes, firstByteMs, totalMs: performance.now() - started }));
}
