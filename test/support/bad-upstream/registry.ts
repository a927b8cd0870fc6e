import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { bytesOf } from '../content.ts';
import type { GeneratedImage } from '../upstream-image.ts';
import { createRightAnswers, type DoorOptions, type Kind, type Right } from './right.ts';

/** One request, and all that is needed to answer it well or badly. */
export interface Asked {
  readonly kind: Kind;
  readonly method: string;
  readonly path: string;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** How often such a request was made of this registry before. */
  readonly before: number;
  readonly socket: Socket;
  /** What a careful registry says. */
  readonly right: Right;
  /** All of a blob, whatever part of it is asked for. */
  readonly whole: Buffer;
  /** Sends an answer with these headers, and no others; `close` ends the connection behind it. */
  send(status: number, headers: Headers, body?: Uint8Array, close?: boolean): void;
  /** Sends these bytes again and again, until whoever asked has had enough. */
  endless(piece: Uint8Array | string, everyMs?: number): void;
}

/** Headers by name; of several of one name, a list. */
export type Headers = Readonly<Record<string, string | number | readonly string[]>>;

/** What a registry does instead of answering as it should. */
export type Misbehaviour = (asked: Asked) => void;

/** A registry over bare sockets, which can do what no HTTP library would let it. It has one image, `library/app:latest`. */
export interface BadRegistry {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly host: string;
  readonly image: GeneratedImage;
  readonly layer: { readonly digest: string; readonly size: number; readonly bytes: Buffer };
  readonly asked: readonly Pick<Asked, 'kind' | 'headers'>[];
  /** Endless answers that nobody has ended yet. */
  readonly floods: number;
  /** Bytes that were handed to the kernel. */
  readonly sent: number;
  /** What is done with requests of a kind from now on; without, all is well. */
  misbehave(on: Kind | 'any', misbehaviour: Misbehaviour): void;
  /** All is well from now on; what was begun badly is ended. */
  behave(): void;
  /** No token given out so far counts any more. */
  expireTokens(): void;
  close(): Promise<void>;
}

export interface BadRegistryOptions extends DoorOptions {
  /** @default plain HTTP */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Starts one; the caller closes it. */
export async function startBadRegistry(options: BadRegistryOptions = {}): Promise<BadRegistry> {
  const right = createRightAnswers(options);
  const { image } = right;
  const layer = image.layers[0]!;
  const layerBytes = bytesOf(image.blobs.get(layer.digest)!);
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  let bad: { readonly on: Kind | 'any'; readonly does: Misbehaviour } | undefined;
  let gone = 0;
  let floods = 0;

  const answer = (text: string, socket: Socket): void => {
    const [line = '', ...fields] = text.split('\r\n');
    const [method = '', path = ''] = line.split(' ');
    const headers = new Map(fields.map((field) => splitField(field)));
    const kind = kindOf(path);
    const before = asked.filter((one) => one.kind === kind && one.method === method).length;
    const write = (bytes: Uint8Array | string): boolean => {
      if (socket.destroyed) return false;
      gone += bytes.length;
      return socket.write(bytes);
    };
    const one: Asked = {
      kind,
      method,
      path,
      headers,
      before,
      socket,
      right: right.answer(kind, path, headers, url),
      whole: right.contentAt(path) ?? Buffer.alloc(0),
      send(status, fieldsOf, body = Buffer.alloc(0), close = false) {
        const lines = Object.entries(fieldsOf).flatMap(([name, value]) => [value].flat().map((v) => `${name}: ${v}`));
        write(Buffer.from([`HTTP/1.1 ${status} X`, ...lines, '', ''].join('\r\n'), 'latin1'));
        if (method !== 'HEAD') write(body);
        if (close) socket.end();
      },
      endless(piece, everyMs) {
        const more = (): void => {
          if (everyMs === undefined) while (write(piece));
          else if (write(piece)) setTimeout(more, everyMs);
        };
        floods++;
        socket.once('close', () => floods--);
        socket.on('drain', more);
        more();
      },
    };
    asked.push(one);
    if (bad !== undefined && (bad.on === 'any' || bad.on === kind)) bad.does(one);
    else one.send(one.right.status, one.right.headers, one.right.body);
  };

  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay();
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1');
      // What HTTP servers say to who speaks TLS.
      if (!/^[A-Z]/.test(text)) return void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end);
        text = text.slice(end + 4);
        answer(head, socket);
      }
    });
  };
  const server =
    options.tls === undefined ? createServer(serve) : createSecureServer(options.tls, (socket) => serve(socket));
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const scheme = options.tls === undefined ? 'http' : 'https';
  const url = `${scheme}://${host}`;
  return {
    url,
    host,
    image,
    layer: { ...layer, bytes: layerBytes },
    asked,
    get floods() {
      return floods;
    },
    get sent() {
      return gone;
    },
    misbehave(on, does) {
      bad = { on, does };
    },
    behave() {
      bad = undefined;
      for (const socket of sockets) socket.destroy();
    },
    expireTokens: right.expireTokens,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function splitField(field: string): [string, string] {
  const colon = field.indexOf(':');
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
}

function kindOf(path: string): Kind {
  const part = /^\/(?:v2\/library\/app\/(manifests|blobs)|(token)|(storage))\b/.exec(path);
  if (part?.[1] === 'manifests') return 'manifest';
  if (part?.[1] === 'blobs') return 'blob';
  return (part?.[2] ?? part?.[3] ?? 'other') as Kind;
}
