import { homedir } from 'node:os';
import type { CredentialSpec, CredentialSurroundings } from './credentials/source.ts';
import { DIRECTLY, type ProxyFor } from './proxy-rule.ts';

/** Where a registry's content is fetched from. */
export interface RegistryEndpoints {
  /**
   * Asked in order, the next where one fails or lacks the content. `https://host[:port][/prefix]`, or `http://` where
   * it is meant.
   */
  readonly endpoints: readonly string[];
  /** Certificates in PEM that are trusted beside the usual ones: by its endpoints and by whatever these send us to. */
  readonly ca?: string;
  /**
   * What it is shown where it asks. Without, only what is public can be had.
   * @default null
   */
  readonly credentials?: CredentialSpec | null;
}

/** How the upstream client is set. */
export interface UpstreamInit {
  /**
   * Registries by the name that references give them. One that is not listed is reached at `https://<its name>`, and
   * only at public addresses; `*` says what else holds for these.
   * @default { 'docker.io': { endpoints: ['https://registry-1.docker.io'] } }
   */
  readonly registries?: Readonly<Record<string, RegistryEndpoints>>;
  /**
   * The proxy that a host is reached through.
   * @default none
   */
  readonly proxyFor?: ProxyFor;
  /**
   * How long a TCP connection with its TLS handshake and the name's look-up may take, and the proxy's answer where there
   * is one. Milliseconds.
   * @default 2000
   */
  readonly connectTimeout?: number;
  /**
   * How long to wait for an answer's headers before checking, by a connection of its own, that the registry can be
   * reached at all. Milliseconds.
   * @default 1000
   */
  readonly probeAfter?: number;
  /**
   * How long that check may take. `probeAfter` and this make the time after which a lost network is told. Milliseconds.
   * @default 1200
   */
  readonly probeTimeout?: number;
  /**
   * How long what could not be reached is not asked again. Milliseconds.
   * @default 2000
   */
  readonly unreachableFor?: number;
  /**
   * How long an endpoint that did not answer in time is asked only after a registry's others. Milliseconds.
   * @default 30000
   */
  readonly avoidFor?: number;
  /**
   * How long a registry that can be reached may take to answer with headers. Milliseconds.
   * @default 20000
   */
  readonly headersTimeout?: number;
  /**
   * How long all of a question may take whose answer is small, with its redirects, tokens, further tries and its body.
   * Clients wait 30 s for headers, and are better told than left. Milliseconds.
   * @default 25000
   */
  readonly answerTimeout?: number;
  /**
   * How long a body may go without a byte before it is taken up again by a new request. Milliseconds.
   * @default 10000
   */
  readonly stallTimeout?: number;
  /**
   * Connections to one origin for blobs, and as many again for everything that is short. A blob beyond waits its turn.
   * @default 16
   */
  readonly connections?: number;
  /**
   * Where files of logins lie, and which environment helpers run in.
   * @default the process's own
   */
  readonly around?: CredentialSurroundings;
}

export type UpstreamOptions = Required<UpstreamInit>;

const DEFAULTS: UpstreamOptions = {
  registries: { 'docker.io': { endpoints: ['https://registry-1.docker.io'] } },
  proxyFor: DIRECTLY,
  connectTimeout: 2000,
  probeAfter: 1000,
  probeTimeout: 1200,
  unreachableFor: 2000,
  avoidFor: 30_000,
  headersTimeout: 20_000,
  answerTimeout: 25_000,
  stallTimeout: 10_000,
  connections: 16,
  around: { env: process.env, home: homedir(), uid: process.getuid?.() ?? 0 },
};

export function upstreamOptions(init: UpstreamInit): UpstreamOptions {
  return { ...DEFAULTS, ...init, registries: { ...DEFAULTS.registries, ...init.registries } };
}
