import { connect } from 'node:net';

/** What one client saw. */
export interface Drained {
  readonly status: number;
  readonly bytes: number;
  /** From the request. */
  readonly firstByteMs: number;
  /** From before the connection was made. */
  readonly totalMs: number;
}

/** How a client reads. */
export interface DrainInit {
  /** Bytes a second. @default no limit */
  readonly rate?: number;
  /** After so many bytes it reads no more, says so, and keeps the connection until its process ends. @default never */
  readonly stopAfter?: number;
  /** How long the connection is open before the request goes, as that is which has brought the manifest. ms @default 0 */
  readonly openFor?: number;
}

/**
 * Takes one URL on a connection of its own and throws its bytes away as cheaply as Node can, so that what is measured is
 * the server.
 */
export function drainHere(address: string, { rate, stopAfter, openFor = 0 }: DrainInit = {}): Promise<Drained> {
  const url = new URL(address);
  const { promise, resolve, reject } = Promise.withResolvers<Drained>();
  const started = performance.now();
  let requested = started;
  let head = '';
  let status = 0;
  let length = Number.POSITIVE_INFINITY;
  let bytes = 0;
  let firstByteMs = 0;

  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    noDelay: true,
    onread: { buffer: Buffer.alloc(256 * 1024), callback: received },
  });
  const request = () => {
    requested = performance.now();
    socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`);
  };
  socket.on('connect', () => (openFor > 0 ? setTimeout(request, openFor) : request()));
  socket.on('end', report);
  socket.on('error', reject);
  return promise;

  function received(read: number, buffer: Uint8Array): boolean {
    const body = status === 0 ? behindHead(buffer.subarray(0, read)) : read;
    if (body > 0 && bytes === 0) firstByteMs = performance.now() - requested;
    bytes += body;
    if (bytes >= (stopAfter ?? Number.POSITIVE_INFINITY)) {
      report();
      return false;
    }
    if (bytes >= length) {
      socket.destroy();
      report();
      return false;
    }
    if (rate === undefined) return true;
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
    resolve({ status, bytes, firstByteMs, totalMs: performance.now() - started });
  }
}

/** @throws where it was not answered with 200 and every byte */
export function wholly(url: string, size: number, drained: Drained): Drained {
  if (drained.status !== 200 || drained.bytes !== size) throw new Error(`${url}: ${JSON.stringify(drained)}`);
  return drained;
}
