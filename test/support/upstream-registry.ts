import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, Server as TcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Algorithm, type Digest, parseDigest } from '../../protocol/digest.ts';
import { bufferContent, bytesOf, type Content, digestOf } from './content.ts';
import { sendBody } from './upstream-body.ts';
import type { Door } from './upstream-doors.ts';
import { createFaults, type Fault, type Misbehaviour, metFault, type RequestKind } from './upstream-faults.ts';
import {
  type BlobDescriptor,
  type GeneratedImage,
  generateImage,
  type ImageSpec,
  type ServedManifest,
} from './upstream-image.ts';
import { type Listed, listReferrers, listTags, type TagsStyle } from './upstream-listings.ts';
import { createSignatures, type SignatureStyle } from './upstream-signatures.ts';

export interface UpstreamRegistryOptions {
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** @default 0, chosen by the kernel */
  readonly port?: number;
  /** `bearer` wants an anonymous token for everything but `/token`. @default 'none' */
  readonly auth?: 'none' | 'bearer' | 'basic';
  /** Who is let in, and how it shows who it is; in place of `auth`. */
  readonly door?: Door;
  /** Sent with every manifest. */
  readonly manifestHeaders?: Readonly<Record<string, string>>;
  /** What the token answer says. Seconds. @default 300 */
  readonly tokenLifetime?: number;
  /** The challenge's realm. @default the registry's own /token */
  readonly realm?: string;
  /** Key and certificate, PEM: the registry and its storage speak TLS. @default plain HTTP */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** @default 'paged' */
  readonly tags?: TagsStyle;
  /** Whether it knows of referrers. @default true */
  readonly referrers?: boolean;
  /** How its storage signs the addresses that blobs are redirected to. @default 's3' */
  readonly signatures?: SignatureStyle;
  /** Told of each request when its response has ended or its connection has closed. */
  ended?(request: ServedRequest): void;
}

/** One request that was served, or is being served. */
export interface ServedRequest {
  readonly kind: RequestKind;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly repository: string | undefined;
  /** Of a blob, or a manifest asked for by digest. */
  readonly digest: Digest | undefined;
  readonly range: string | undefined;
  readonly accept: string | undefined;
  readonly acceptEncoding: string | undefined;
  readonly authorization: string | undefined;
  /** When it came. ms since 1970 */
  readonly at: number;
  readonly clientAddress: string;
  /** The client's port: one a connection. */
  readonly clientPort: number;
  /** 0 until it is answered. */
  readonly status: number;
  /** Body bytes handed to the kernel so far. */
  readonly bytes: number;
  /** Whether the response has ended or its connection has closed. */
  readonly closed: boolean;
}

/** A registry on loopback that generates its images, counts what it serves and misbehaves when told to. */
export interface UpstreamRegistry {
  /** `http://127.0.0.1:PORT`, with TLS `https://…` */
  readonly url: string;
  /** `127.0.0.1:PORT`: how references name it. */
  readonly host: string;
  /** Where redirected blobs lie: another origin. */
  readonly storageUrl: string;
  /** The secret part of every address that blobs were redirected to. */
  readonly signatures: readonly string[];
  /** Everything asked of the registry and its storage, in order. */
  readonly requests: readonly ServedRequest[];
  addImage(repository: string, spec: ImageSpec): GeneratedImage;
  addBlob(repository: string, content: Content | Uint8Array, algorithm?: Algorithm): BlobDescriptor;
  addManifest(
    repository: string,
    mediaType: string,
    bytes: Uint8Array,
    tag?: string,
    algorithm?: Algorithm,
  ): ServedManifest;
  /** All bytes of a blob, as they should arrive. */
  blobBytes(digest: Digest): Buffer;
  /** Body bytes sent of a blob, or of all blobs, from the registry and its storage. */
  bytesServed(digest?: Digest): number;
  /** GETs of a blob, or of all blobs, that were answered with content. */
  blobGets(digest?: Digest): number;
  /** Resolves once every response so far has ended, or its connection has closed. */
  idle(): Promise<void>;
  /** Forgets what was counted. */
  forget(): void;
  /** Switches a fault on; what is returned switches it off. */
  misbehave(fault: Fault): () => void;
  /** Switches all faults off. Answers that hang stay hanging. */
  behave(): void;
  /** Every token given out so far is refused from now on. */
  expireTokens(): void;
  /** Every signed URL given out so far is refused (403) from now on. */
  expireSignatures(): void;
  /** Connections are refused from now on, and open ones are closed. */
  refuse(): Promise<void>;
  /** New connections are refused; open ones stay open and silent: what a lost route looks like to a kept connection. */
  vanish(): Promise<void>;
  /** Listens again on the same port. */
  comeBack(): Promise<void>;
  /** Ends every connection and both listeners. */
  close(): Promise<void>;
}

interface Holding {
  readonly manifests: Map<string, ServedManifest>;
  readonly blobs: Set<Digest>;
}

type Entry = { -readonly [Key in keyof ServedRequest]: ServedRequest[Key] };

/** Starts one. The caller closes it. */
export async function startUpstreamRegistry(options: UpstreamRegistryOptions = {}): Promise<UpstreamRegistry> {
  const { host: address = '127.0.0.1', door, tokenLifetime = 300 } = options;
  const auth = options.auth ?? (door === undefined ? 'none' : door.scheme);
  const repositories = new Map<string, Holding>();
  const contents = new Map<Digest, Content>();
  const faults = createFaults();
  const tokens = new Map<string, string>();
  const signatures = createSignatures(options.signatures ?? 's3');
  const open = new Set<Promise<void>>();
  let entries: Entry[] = [];
  let silent = false;

  const holdingOf = (repository: string): Holding => {
    const holding = repositories.get(repository) ?? { manifests: new Map(), blobs: new Set() };
    repositories.set(repository, holding);
    return holding;
  };

  const record = (request: IncomingMessage, response: ServerResponse, route: Route): Entry => {
    const entry: Entry = {
      ...route,
      method: request.method ?? '',
      path: request.url ?? '',
      range: request.headers.range,
      accept: request.headers.accept,
      acceptEncoding: request.headers['accept-encoding']?.toString(),
      authorization: request.headers.authorization,
      at: Date.now(),
      clientAddress: request.socket.remoteAddress ?? '',
      clientPort: request.socket.remotePort ?? 0,
      status: 0,
      bytes: 0,
      closed: false,
    };
    entries.push(entry);
    const { promise, resolve } = Promise.withResolvers<void>();
    open.add(promise);
    response.once('close', () => {
      entry.closed = true;
      open.delete(promise);
      options.ended?.(entry);
      resolve();
    });
    return entry;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> => {
    const entry = record(request, response, route);
    const head = (status: number, headers: Record<string, string | number> = {}): void => {
      entry.status = status;
      response.writeHead(status, headers);
    };
    const refuse = (status: number, code: string, headers: Record<string, string> = {}): void => {
      const body = JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] });
      head(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers });
      response.end(entry.method === 'HEAD' ? undefined : body);
    };
    const sent = (bytes: number): boolean => {
      entry.bytes += bytes;
      return !silent;
    };
    const met = faults.meet({ kind: route.kind, method: entry.method, path: entry.path });
    const delay = metFault(met, 'delay');
    if (delay !== undefined) await sleep(delay.milliseconds);
    if (silent || metFault(met, 'black-hole') !== undefined) return;
    const status = metFault(met, 'status');
    if (status !== undefined) return refuse(status.status, 'UNKNOWN', { ...status.headers });

    const query = new URL(entry.path, 'http://registry').searchParams;
    if (route.kind === 'token') {
      const form = new URLSearchParams(entry.method === 'POST' ? await text(request) : '');
      const { method, authorization } = entry;
      const who = door === undefined ? 'anybody' : door.enter({ method, query, form, authorization });
      if (typeof who === 'number') return refuse(who, 'UNAUTHORIZED');
      const token = randomUUID();
      const scope = query.get('scope') ?? form.get('scope') ?? '';
      // As the real ones: whoever may not have it gets a token that opens nothing.
      const isOpen = who !== null || door?.isPublic(/^repository:(.+):pull$/.exec(scope)?.[1] ?? '') === true;
      tokens.set(token, isOpen ? scope : '');
      const body = JSON.stringify({ token, expires_in: tokenLifetime, issued_at: new Date().toISOString() });
      head(200, { 'content-type': 'application/json', 'content-length': body.length });
      return void response.end(body);
    }
    if (route.kind === 'storage') {
      // As S3 and Azure: a signature and a header are two ways to say who asks, and one too many.
      if (entry.authorization) return refuse(400, 'UNSUPPORTED');
      if (!signatures.isGood(query)) return refuse(403, 'DENIED');
    } else if (auth === 'basic') {
      const refused = door?.refuses(entry.authorization);
      const challenge = refused === 401 ? { 'www-authenticate': 'Basic realm="a registry",service="test"' } : {};
      if (refused !== undefined) return refuse(refused, 'UNAUTHORIZED', challenge);
    } else if (auth === 'bearer' && !isAllowed(entry)) {
      const realm = options.realm ?? `${origin}/token`;
      const scope = route.repository === undefined ? '' : `,scope="repository:${route.repository}:pull"`;
      const service = door?.service ?? 'test';
      return refuse(401, 'UNAUTHORIZED', {
        'www-authenticate': `Bearer realm="${realm}",service="${service}"${scope}`,
      });
    }
    if (route.kind === 'ping') {
      if (!/^\/v2\/?$/.test(entry.path)) return refuse(404, 'UNSUPPORTED');
      head(200, { 'content-length': 0 });
      return void response.end();
    }
    if (route.kind === 'manifest') {
      const manifest = repositories.get(route.repository ?? '')?.manifests.get(route.reference ?? '');
      if (manifest === undefined) return refuse(404, 'MANIFEST_UNKNOWN');
      const headers = { 'content-type': manifest.mediaType, 'docker-content-digest': manifest.digest };
      Object.assign(headers, options.manifestHeaders);
      return sendContent(entry, response, bufferContent(manifest.bytes), headers, met, head, sent);
    }
    if (route.kind === 'tags' || route.kind === 'referrers') {
      const listed = listing(route, query);
      if (listed === undefined) return refuse(404, 'NAME_UNKNOWN');
      const { body, headers } = listed;
      head(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers });
      return void response.end(entry.method === 'HEAD' ? undefined : body);
    }
    const digest = route.digest;
    const held = route.kind === 'storage' || repositories.get(route.repository ?? '')?.blobs.has(digest as Digest);
    const content = digest === undefined ? undefined : contents.get(digest);
    if (digest === undefined || content === undefined || !held) return refuse(404, 'BLOB_UNKNOWN');
    if (route.kind === 'blob' && metFault(met, 'redirect') !== undefined) {
      head(307, { location: `${storageOrigin}/storage/${digest}?${signatures.sign()}`, 'content-length': 0 });
      return void response.end();
    }
    const headers = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest };
    return sendContent(entry, response, content, headers, met, head, sent);
  };

  const listing = ({ kind, repository = '', digest }: Route, query: URLSearchParams): Listed | undefined => {
    const manifests = repositories.get(repository)?.manifests;
    if (manifests === undefined) return undefined;
    const tags = [...manifests.keys()].filter((reference) => !reference.includes(':'));
    if (kind === 'tags') return listTags(repository, tags, query, options.tags ?? 'paged');
    if (digest === undefined || options.referrers === false) return undefined;
    return listReferrers(manifests.values(), digest, query);
  };

  const isAllowed = (entry: Entry): boolean => {
    const scope = tokens.get(entry.authorization?.replace(/^Bearer /, '') ?? '');
    return scope !== undefined && (entry.repository === undefined || scope === `repository:${entry.repository}:pull`);
  };

  const listener = (isStorage: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    // A body that nobody reads would keep the connection from being used again.
    if (request.method !== 'POST') request.resume();
    answer(request, response, routeOf(request.url ?? '', isStorage)).catch((error: unknown) => {
      // A fault of the test's own: the client sees a broken connection, and the run says why.
      response.destroy();
      queueMicrotask(() => {
        throw error;
      });
    });
  };
  const { tls } = options;
  const serve = (isStorage: boolean): Server =>
    tls === undefined
      ? createServer({ keepAliveTimeout: 60_000 }, listener(isStorage))
      : createSecureServer({ keepAliveTimeout: 60_000, ...tls }, listener(isStorage));
  const registry = serve(false);
  const storage = serve(true);
  await listen(registry, address, options.port ?? 0);
  await listen(storage, address, 0);
  const { port } = registry.address() as AddressInfo;
  const scheme = tls === undefined ? 'http' : 'https';
  const origin = url(registry, scheme);
  const storageOrigin = url(storage, scheme);
  const ofBlobs = (digest: Digest | undefined): Entry[] =>
    entries.filter(
      ({ kind, digest: one }) =>
        (kind === 'blob' || kind === 'storage') && one !== undefined && (digest === undefined || one === digest),
    );

  return {
    url: origin,
    host: `${address}:${port}`,
    storageUrl: storageOrigin,
    signatures: signatures.given,
    get requests() {
      return entries;
    },
    addImage(repository, spec) {
      const image = generateImage(spec);
      const { manifests, blobs } = holdingOf(repository);
      for (const [digest, content] of image.blobs) {
        contents.set(digest, content);
        blobs.add(digest);
      }
      for (const manifest of [image.manifest, ...(image.index ? [image.index] : [])]) {
        manifests.set(manifest.digest, manifest);
        manifests.set(image.tag, manifest);
      }
      return image;
    },
    addBlob(repository, given, algorithm) {
      const content = given instanceof Uint8Array ? bufferContent(given) : given;
      const digest = digestOf(content, algorithm);
      contents.set(digest, content);
      holdingOf(repository).blobs.add(digest);
      return { digest, size: content.size };
    },
    addManifest(repository, mediaType, bytes, tag, algorithm) {
      const manifest = { digest: digestOf(bufferContent(bytes), algorithm), mediaType, bytes: Buffer.from(bytes) };
      const { manifests } = holdingOf(repository);
      manifests.set(manifest.digest, manifest);
      if (tag !== undefined) manifests.set(tag, manifest);
      return manifest;
    },
    blobBytes(digest) {
      const content = contents.get(digest);
      if (content === undefined) throw new Error(`no such blob: ${digest}`);
      return bytesOf(content);
    },
    bytesServed: (digest) => ofBlobs(digest).reduce((sum, entry) => sum + entry.bytes, 0),
    blobGets: (digest) =>
      ofBlobs(digest).filter((entry) => entry.method === 'GET' && (entry.status === 200 || entry.status === 206))
        .length,
    async idle() {
      await Promise.all(open);
    },
    forget() {
      entries = [];
    },
    misbehave: (fault) => faults.add(fault),
    behave: () => faults.clear(),
    expireTokens: () => tokens.clear(),
    expireSignatures: () => signatures.expire(),
    async refuse() {
      await stop(registry, true);
    },
    async vanish() {
      silent = true;
      await stop(registry, false);
    },
    async comeBack() {
      silent = false;
      await listen(registry, address, port);
    },
    async close() {
      await Promise.all([stop(registry, true), stop(storage, true)]);
    },
  };
}

interface Route {
  readonly kind: RequestKind;
  readonly repository: string | undefined;
  readonly reference: string | undefined;
  readonly digest: Digest | undefined;
}

function routeOf(path: string, isStorage: boolean): Route {
  const pathname = path.split('?')[0] ?? '';
  const part = isStorage
    ? /^\/(?<kind>storage)\/(?<reference>[^/]+)$/.exec(pathname)
    : /^\/v2\/(?<repository>.+)\/(?<kind>manifests|blobs|tags|referrers)\/(?<reference>[^/]+)$/.exec(pathname);
  const { repository, kind, reference } = part?.groups ?? {};
  const digest = parseDigest(reference ?? '');
  if (kind === 'storage') return { kind, repository, reference, digest };
  if (kind === 'manifests') return { kind: 'manifest', repository, reference, digest };
  if (kind === 'blobs') return { kind: 'blob', repository, reference, digest };
  if (kind === 'tags' || kind === 'referrers') return { kind, repository, reference, digest };
  return { kind: pathname === '/token' ? 'token' : 'ping', repository, reference, digest };
}

async function sendContent(
  entry: Entry,
  response: ServerResponse,
  content: Content,
  headers: Record<string, string>,
  met: readonly Misbehaviour[],
  head: (status: number, headers: Record<string, string | number>) => void,
  sent: (bytes: number) => boolean,
): Promise<void> {
  const size = content.size + (metFault(met, 'length')?.delta ?? 0);
  const ranges = metFault(met, 'no-range') === undefined && entry.method === 'GET' && entry.kind !== 'manifest';
  const range = ranges ? /^bytes=(\d+)-(\d*)$/.exec(entry.range ?? '') : null;
  const start = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Math.min(size, Number(range[2]) + 1) : size;
  const accepts = ranges ? { 'accept-ranges': 'bytes' } : {};
  if (range !== null && start >= size) {
    head(416, { 'content-range': `bytes */${size}`, 'content-length': 0 });
    response.end();
    return;
  }
  const partial = range === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${size}` };
  head(range === null ? 200 : 206, { ...headers, ...accepts, ...partial, 'content-length': end - start });
  if (entry.method === 'HEAD') {
    response.end();
    return;
  }
  // Headers go out even where the body stalls before its first byte.
  response.flushHeaders();
  await sendBody(response, content, start, end, met, sent);
}

function url(server: Server, scheme: string): string {
  const { address, port } = server.address() as AddressInfo;
  return `${scheme}://${address}:${port}`;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Stops listening, and waits for every connection to end where they are ended. */
async function stop(server: Server, connectionsToo: boolean): Promise<void> {
  // The net server's close: the HTTP server's would also end the idle connections.
  if (!connectionsToo) return void TcpServer.prototype.close.call(server);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
