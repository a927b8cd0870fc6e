import { connect, type Socket } from 'node:net';

/** What a connection receives into, over and over. */
const RECEIVE_BUFFER = 256 * 1024;
/** No head is larger. */
const MOST_HEAD = 64 * 1024;

export interface Answer {
  readonly status: number;
  /** By name in lower case; of several of a name, the last. */
  readonly headers: ReadonlyMap<string, string>;
}

interface Asked {
  readonly hasBody: boolean;
  onPiece(piece: Buffer, answer: Answer): void;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * HTTP/1.1 over one connection that is kept, one request at a time, bodies with a Content-Length. What comes is received
 * into one buffer, as a daemon written in Go does: node:http takes fresh memory for each read, and on two cores that all
 * hosts share, clients would cost more than what is measured.
 */
export class LeanConnection {
  readonly #url: URL;
  #socket: Socket | undefined;
  #asked: Asked | undefined;
  #head = Buffer.alloc(0);
  #answer: Answer | undefined;
  /** Bytes of the body that are still to come. */
  #left = 0;

  /** @param url whose host and port are connected to */
  constructor(url: string) {
    this.#url = new URL(url);
  }

  /**
   * @param onPiece given the body as it comes; a piece is overwritten once it returns
   * @returns the answer, once all of its body has come
   * @throws where the connection breaks, also in mid-body
   */
  ask(
    method: 'GET' | 'HEAD',
    path: string,
    headers: Readonly<Record<string, string>>,
    onPiece: Asked['onPiece'] = () => {},
  ): Promise<Answer> {
    const lines = Object.entries({ host: this.#url.host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return new Promise((resolve, reject) => {
      this.#asked = { hasBody: method === 'GET', onPiece, resolve, reject };
      this.#connected().write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connected(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER);
    const socket: Socket = connect({
      host: this.#url.hostname,
      port: Number(this.#url.port || 80),
      noDelay: true,
      onread: {
        buffer,
        callback: (length) => {
          try {
            this.#feed(buffer.subarray(0, length));
          } catch (error) {
            socket.destroy(error as Error);
          }
          return true;
        },
      },
    });
    socket.on('error', (error) => this.#broke(socket, error));
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#broke(socket, new Error('the connection ended')));
    this.#socket = socket;
    return socket;
  }

  #broke(socket: Socket, error: Error): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#head = Buffer.alloc(0);
    this.#answer = undefined;
    this.#take()?.reject(error);
  }

  #take(): Asked | undefined {
    const asked = this.#asked;
    this.#asked = undefined;
    return asked;
  }

  #feed(bytes: Buffer): void {
    if (this.#answer === undefined) {
      this.#head = Buffer.concat([this.#head, bytes]);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0 && this.#head.length > MOST_HEAD) throw new Error('a head without end');
      if (end < 0) return;
      const rest = this.#head.subarray(end + 4);
      this.#answer = parse(this.#head.subarray(0, end).toString('latin1'));
      this.#head = Buffer.alloc(0);
      this.#left = this.#asked?.hasBody === true ? lengthOf(this.#answer) : 0;
      this.#body(this.#answer, rest);
    } else this.#body(this.#answer, bytes);
  }

  #body(answer: Answer, bytes: Buffer): void {
    if (this.#asked === undefined || bytes.length > this.#left) throw new Error('more than was announced');
    this.#left -= bytes.length;
    if (bytes.length > 0) this.#asked.onPiece(bytes, answer);
    if (this.#left > 0) return;
    this.#answer = undefined;
    const asked = this.#take();
    if (answer.headers.get('connection') === 'close') {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    asked?.resolve(answer);
  }
}

function parse(head: string): Answer {
  const [first = '', ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
  if (!(status >= 200)) throw new Error(`no answer: ${first}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers };
}

function lengthOf({ status, headers }: Answer): number {
  if (status === 204 || status === 304) return 0;
  const length = headers.get('content-length');
  if (length === undefined) throw new Error('a body without Content-Length');
  return Number(length);
}
