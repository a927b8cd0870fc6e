import { noise } from '@chainsafe/libp2p-noise';
import { identify } from '@libp2p/identify';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { sha256 } from './independent-wire.ts';

/* "Connections" and "The network key" of docs/protocol.md; see independent-peer.ts for what may be imported here. */

const PROLOGUE_LABEL = 'layerlan/network-key/noise-prologue/1';

/** "yamux windows": bytes. */
const STREAM_WINDOW = 1024 * 1024;
const MAX_UNREAD = 4 * STREAM_WINDOW;

export interface NodeInit {
  readonly privateKey: Ed25519PrivateKey;
  readonly listen: readonly string[];
  /** Bytes of the fleet's key. @default none */
  readonly networkKey?: Uint8Array | undefined;
}

/** A libp2p node that agents take for one of theirs; not started, so that it serves all it is to serve from the start. */
export async function createNode({ privateKey, listen, networkKey }: NodeInit) {
  return createLibp2p({
    start: false,
    privateKey,
    addresses: { listen: [...listen] },
    transports: [tcp({ dialOpts: { keepAlive: true, ...loopbackSource(listen) } })],
    connectionEncrypters: [noise({ prologueBytes: prologueOf(networkKey) })],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW, maxReadBufferLength: MAX_UNREAD } })],
    // As many as agents take of one address, unfinished and a second; libp2p's own limits are a few.
    connectionManager: { inboundConnectionThreshold: 100, maxIncomingPendingConnections: 256, reconnectRetries: 0 },
    // "An unanswered ping ends no connection."
    connectionMonitor: { enabled: false },
    services: { identify: identify(), ping: ping() },
  });
}

/** "The network key". */
function prologueOf(key: Uint8Array | undefined): Uint8Array {
  if (key === undefined) return new Uint8Array(0);
  return sha256(Buffer.concat([Buffer.from(PROLOGUE_LABEL), Buffer.of(0), key]));
}

/** The bytes of a network key in its file's text. */
export function parseKey(text: string): Uint8Array {
  const digits = text.trim();
  if (!/^(?:[0-9a-f]{2}){32,512}$/i.test(digits)) throw new Error('that is no network key');
  return Buffer.from(digits, 'hex');
}

/**
 * Dials come from where the node listens, where that is one loopback address: from 127.0.0.1, as the kernel has it, all
 * peers of a test machine would look like one, and a ban of one would shut out all.
 */
function loopbackSource(listen: readonly string[]): { localAddress?: string } {
  const hosts = new Set(listen.map((address) => multiaddr(address).getComponents()[0]?.value));
  const [only] = hosts;
  return hosts.size === 1 && only?.startsWith('127.') ? { localAddress: only } : {};
}
