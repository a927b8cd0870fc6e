/** A TCP socket that listens, as the kernel lists it. */
export interface ListeningSocket {
  /** `127.0.0.1`, `::1`; `*` for every address. */
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

/** The kernel's number for a socket that listens (include/net/tcp_states.h). */
const LISTEN = '0A';

/** Columns of /proc/net/tcp: `sl local rem st tx:rx tr:when retrnsmt uid timeout inode` (proc_net_tcp.txt). */
const LOCAL = 1;
const STATE = 3;
const INODE = 9;

/** The sockets that listen in a /proc/net/tcp or /proc/net/tcp6. */
export function parseSocketTable(text: string): ListeningSocket[] {
  return text.split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const [address, port] = columns[LOCAL]?.split(':') ?? [];
    const inode = columns[INODE];
    if (columns[STATE] !== LISTEN || address === undefined || port === undefined || inode === undefined) return [];
    return [{ host: hostText(address), port: Number.parseInt(port, 16), inode }];
  });
}

/** Words of four bytes, each in the machine's order, which is the little end first wherever layerlan is built for. */
function hostText(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  if (bytes.every((byte) => byte === 0)) return '*';
  if (bytes.length === 4) return bytes.join('.');
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (isMapped) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  // The URL parser writes an IPv6 address in its one short form.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

const WILDCARDS = new Set(['*', '0.0.0.0', '::']);

/** The socket that keeps others from listening at `host` and `port`. */
export function socketAt(sockets: readonly ListeningSocket[], host: string, port: number): ListeningSocket | undefined {
  const wanted = host === 'localhost' ? '127.0.0.1' : host;
  return sockets.find(
    (socket) => socket.port === port && (socket.host === wanted || WILDCARDS.has(socket.host) || WILDCARDS.has(wanted)),
  );
}
