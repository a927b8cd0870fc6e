import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A server that says nothing for so long has failed its case. Milliseconds. */
const PATIENCE = 20_000;

/** More headers than any registry sends. Bytes. */
const MAX_HEAD = 64 * 1024;

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  /** In the order and the letters they came in. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The one header of this name; undefined where there is none. @throws where there are several */
  header(name: string): string | undefined;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  /** Lines of their own, so that one name may come more than once. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** One connection, with nothing between the suite and the wire: HTTP/1.1 as RFC 9112 has it, read strictly. */
export class Wire {
  readonly #socket: Socket;
  readonly #host: string;
  #buffer: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
  }

  static async open({ host, port }: { host: string; port: number }): Promise<Wire> {
    const socket = connect({ host, port, noDelay: true });
    socket.setTimeout(PATIENCE, () => socket.destroy(new Error(`nothing came for ${PATIENCE} ms`)));
    await once(socket, 'connect');
    // Read by hand, piece by piece: what is not asked for stays with the kernel.
    socket.pause();
    return new Wire(socket, `${host}:${port}`);
  }

  /** Sends a request and reads the whole of its answer. */
  async ask(ask: Ask): Promise<Answer> {
    this.send(ask);
    const head = await this.#head();
    const body = await this.#body(head, ask.method ?? 'GET');
    return { ...head, body };
  }

  /** Sends a request and reads its answer's head and the first `wanted` bytes of its body, which is left there. */
  async begin(ask: Ask, wanted: number): Promise<Answer> {
    this.send(ask);
    const head = await this.#head();
    return { ...head, body: await this.#take(wanted) };
  }

  /** The next `wanted` bytes of a body that was begun. */
  more(wanted: number): Promise<Buffer> {
    return this.#take(wanted);
  }

  send({ method = 'GET', path, headers = [], body = '' }: Ask): void {
    const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: ${this.#host}`];
    const lines = [`${method} ${path} HTTP/1.1`, ...host, ...headers];
    if (body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #head(): Promise<Omit<Answer, 'body'>> {
    let end = this.#buffer.indexOf('\r\n\r\n');
    while (end < 0) {
      if (this.#buffer.length > MAX_HEAD) throw new Error('the head of the answer does not end');
      if (!(await this.#fill())) throw new Error('the connection ended before the answer’s head did');
      end = this.#buffer.indexOf('\r\n\r\n');
    }
    const [line = '', ...fields] = this.#buffer.toString('latin1', 0, end).split('\r\n');
    this.#buffer = this.#buffer.subarray(end + 4);
    const status = /^HTTP\/1\.1 (\d{3})(?: .*)?$/.exec(line)?.[1];
    if (status === undefined) throw new Error(`no status line: ${JSON.stringify(line)}`);
    const headers = fields.map((field) => {
      const [matched, name = '', value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(field) ?? [];
      if (matched === undefined) throw new Error(`no header: ${JSON.stringify(field)}`);
      return [name, value] as const;
    });
    const header = (wanted: string) => {
      const found = headers.filter(([name]) => name.toLowerCase() === wanted.toLowerCase());
      if (found.length > 1) throw new Error(`${found.length} headers named ${wanted}`);
      return found[0]?.[1];
    };
    return { status: Number(status), headers, header };
  }

  /** RFC 9112, 6.3: how long a body is. */
  async #body({ status, header }: Omit<Answer, 'body'>, method: string): Promise<Buffer> {
    if (method === 'HEAD' || status === 204 || status === 304) return Buffer.alloc(0);
    const length = header('content-length');
    const coding = header('transfer-encoding');
    if (coding !== undefined) {
      if (coding.toLowerCase() !== 'chunked' || length !== undefined) throw new Error(`transfer-encoding ${coding}`);
      return this.#chunks();
    }
    if (length === undefined) {
      while (await this.#fill());
      return this.#take(this.#buffer.length);
    }
    if (!/^\d+$/.test(length)) throw new Error(`content-length ${length}`);
    return this.#take(Number(length));
  }

  async #chunks(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (;;) {
      const size = /^([0-9a-f]+)(?:;.*)?$/i.exec(await this.#line())?.[1];
      if (size === undefined) throw new Error('no chunk size');
      if (Number.parseInt(size, 16) === 0) break;
      pieces.push(await this.#take(Number.parseInt(size, 16)));
      if ((await this.#line()) !== '') throw new Error('a chunk that is longer than it says');
    }
    while ((await this.#line()) !== '');
    return Buffer.concat(pieces);
  }

  async #line(): Promise<string> {
    let end = this.#buffer.indexOf('\r\n');
    while (end < 0) {
      if (this.#buffer.length > MAX_HEAD || !(await this.#fill())) throw new Error('a line that does not end');
      end = this.#buffer.indexOf('\r\n');
    }
    const line = this.#buffer.toString('latin1', 0, end);
    this.#buffer = this.#buffer.subarray(end + 2);
    return line;
  }

  async #take(length: number): Promise<Buffer> {
    if (!Number.isSafeInteger(length)) throw new RangeError(`${length} bytes`);
    const pieces: Buffer[] = [];
    let left = length;
    while (left > 0) {
      if (this.#buffer.length === 0 && !(await this.#fill())) {
        throw new Error(`the body ended ${left} of ${length} bytes early`);
      }
      const piece = this.#buffer.subarray(0, left);
      pieces.push(piece);
      left -= piece.length;
      this.#buffer = this.#buffer.subarray(piece.length);
    }
    return Buffer.concat(pieces);
  }

  /** Whether more came; false at the connection's end. */
  async #fill(): Promise<boolean> {
    for (;;) {
      const piece = this.#socket.read() as Buffer | null;
      if (piece !== null) {
        this.#buffer = this.#buffer.length === 0 ? piece : Buffer.concat([this.#buffer, piece]);
        return true;
      }
      if (this.#socket.readableEnded || this.#socket.destroyed) {
        if (this.#socket.errored) throw this.#socket.errored;
        return false;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          for (const event of ['readable', 'end', 'close', 'error']) this.#socket.off(event, wake);
          resolve();
        };
        for (const event of ['readable', 'end', 'close', 'error']) this.#socket.on(event, wake);
      });
    }
  }
}

/** One request on a connection of its own. */
export async function ask(at: { host: string; port: number }, request: Ask): Promise<Answer> {
  const wire = await Wire.open(at);
  try {
    return await wire.ask(request);
  } finally {
    wire.close();
  }
}
