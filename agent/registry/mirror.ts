import { beyondLoopback } from '../address.ts';
import { AgentError } from '../errors.ts';
import { OTHER_REGISTRIES } from '../oci/reference.ts';
import { createAdmission, type RepositoryRules } from './admission.ts';
import { type AppComponents, createApp } from './app.ts';
import type { Listen } from './bind.ts';
import { HEADERS_TIMEOUT } from './limits.ts';
import { createListeners, hostsOf } from './listeners.ts';

export interface MirrorComponents extends AppComponents {
  /** @default the kernel */
  readonly listen?: Listen;
}

export interface MirrorInit {
  /**
   * Milliseconds a client may read nothing before it is let go. Long, since clients pause a body while their disk is
   * busy, and one that waits holds no more than its socket's buffers and a piece.
   * @default 900_000 (15 min)
   */
  readonly clientStallTimeout?: number;
  /**
   * Milliseconds a client may take to send the headers of a request.
   * @default 15_000
   */
  readonly headersTimeout?: number;
  /**
   * Milliseconds that {@link Mirror.close} lets requests run on.
   * @default 5_000
   */
  readonly drainTimeout?: number;
  /**
   * Connections to each address at a time; more are dropped at once.
   * @default 4096
   */
  readonly maxConnections?: number;
  /**
   * Milliseconds between two tries of an address that was not there.
   * @default 5_000
   */
  readonly retryInterval?: number;
  /**
   * Names the Host header may have, beside localhost, loopback addresses, the address that was connected to, and the
   * names listened on.
   * @default []
   */
  readonly allowedHosts?: readonly string[];
  /**
   * What may be pulled, by registry; under `*`, of every other.
   * @default everything of all registries
   */
  readonly registries?: ReadonlyMap<string, RepositoryRules>;
}

/** The HTTP face. */
export interface Mirror {
  /** What was bound, as `host:port`. */
  readonly addresses: readonly string[];
  /** What it is to listen on and is not there yet. */
  readonly awaited: readonly string[];
  /**
   * Listens on every one of `addresses` (`host:port`, `[ipv6]:port`; port 0: the kernel chooses), or on none; only such
   * as do not exist are waited for, where there is another. To be called once.
   * @throws AgentError CONFIG_INVALID, ADDRESS_IN_USE, ADDRESS_UNUSABLE
   */
  listen(addresses: readonly string[]): Promise<void>;
  /**
   * Takes no more connections and lets requests run on for `drainTimeout`; then bodies end short, with FIN, and what
   * is still there a second later is dropped. Resolves when the last connection is gone.
   */
  close(): Promise<void>;
}

const EVERYTHING = new Map([[OTHER_REGISTRIES, { allow: ['*'], deny: [] }]]);
const DEFAULT_CLIENT_STALL_TIMEOUT = 15 * 60 * 1000;
const DEFAULT_DRAIN_TIMEOUT = 5_000;
const DEFAULT_MAX_CONNECTIONS = 4_096;

/** How long bodies that were told to end may take to be flushed. Milliseconds. */
const CUT_TIMEOUT = 1_000;

/** Milliseconds between two looks, while draining, for connections that have become idle. */
const IDLE_INTERVAL = 50;

/** The registry face of the agent: OCI distribution's pull API, `/healthz`, `/metrics` and `/status`. */
export function createMirror(components: MirrorComponents, init: MirrorInit = {}): Mirror {
  const closing = new AbortController();
  const allowedHosts = new Set((init.allowedHosts ?? []).map((host) => host.toLowerCase()));
  let isDraining = false;
  const app = createApp(components, {
    clientStallTimeout: init.clientStallTimeout ?? DEFAULT_CLIENT_STALL_TIMEOUT,
    allowedHosts,
    admit: createAdmission(init.registries ?? EVERYTHING),
    closing: closing.signal,
    isDraining: () => isDraining,
  });
  const onBound = (addresses: readonly string[]) => {
    const open = beyondLoopback(addresses);
    if (open.length > 0) components.logger.warn({ addresses: open }, 'whoever can connect here can pull through it');
  };
  const listeners = createListeners(
    app.routing,
    { ...components, onBound },
    {
      ...init,
      maxConnections: init.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
      headersTimeout: init.headersTimeout ?? HEADERS_TIMEOUT,
    },
  );

  return {
    get addresses() {
      return listeners.addresses;
    },
    get awaited() {
      return listeners.awaited;
    },

    async listen(addresses) {
      for (const host of hostsOf(addresses)) allowedHosts.add(host);
      await app.ready();
      await listeners.open(addresses);
    },

    async close() {
      isDraining = true;
      const drainTimeout = init.drainTimeout ?? DEFAULT_DRAIN_TIMEOUT;
      const cut = () => closing.abort(new AgentError('DRAINING', 'The agent is shutting down.'));
      const timers = [
        setTimeout(cut, drainTimeout),
        setTimeout(() => listeners.closeAll(), drainTimeout + CUT_TIMEOUT),
        setInterval(() => listeners.closeIdle(), IDLE_INTERVAL),
      ];
      try {
        await listeners.close();
      } finally {
        for (const timer of timers) clearTimeout(timer);
      }
      cut();
      await app.close();
    },
  };
}
