import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A CONNECT proxy on loopback that says what it was asked and what it forwarded. */
export interface ConnectProxy {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** `host:port` of every CONNECT, in order. */
  readonly asked: readonly string[];
  /** The Proxy-Authorization of each. */
  readonly authorizations: readonly (string | undefined)[];
  /** Bytes that came from destinations. */
  readonly forwarded: number;
  /** What each CONNECT is answered with in place of a tunnel: a status, or nothing at all. */
  refuseWith: number | 'silence' | undefined;
  /** Ends every connection; new ones are refused. */
  close(): Promise<void>;
}

/**
 * Starts one. The caller closes it.
 * @param hosts names that only this proxy can resolve, and where they lead: `host:port` each
 */
export async function startConnectProxy(hosts: Readonly<Record<string, string>> = {}): Promise<ConnectProxy> {
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const own = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((_request, response) => response.writeHead(400).end());
  server.on('connection', own);
  server.on('connect', ({ url = '', headers }: IncomingMessage, client: Socket, head: Buffer) => {
    asked.push(url);
    authorizations.push(headers['proxy-authorization']);
    if (proxy.refuseWith === 'silence') return;
    if (proxy.refuseWith !== undefined) return void client.end(`HTTP/1.1 ${proxy.refuseWith} No\r\n\r\n`);
    const at = hosts[url] ?? url;
    const colon = at.lastIndexOf(':');
    const destination = connect(Number(at.slice(colon + 1)), at.slice(0, colon), () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      destination.write(head);
      destination.on('data', (bytes) => {
        proxy.forwarded += bytes.length;
      });
      destination.pipe(client);
      client.pipe(destination);
    });
    own(destination);
    destination.once('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    client.once('close', () => destination.destroy());
    destination.once('close', () => client.destroySoon());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy = {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    authorizations,
    forwarded: 0,
    refuseWith: undefined as ConnectProxy['refuseWith'],
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
