import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { main } from '../../../agent/cli/main.ts';
import type { AgentStatus } from '../../../agent/observe/status.ts';

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process. */
export async function command(...args: string[]): Promise<Ran> {
  let out = '';
  let err = '';
  const exit = await main(args, {
    // No file of this machine may decide a test.
    env: {},
    out: async (text) => {
      out += text;
    },
    err: async (text) => {
      err += text;
    },
  });
  return { exit, out, err };
}

/** Something that answers every request with `body`; its port. */
export async function serve(t: TestContext, body: string | undefined, status = 200): Promise<number> {
  const server = createServer((_request, response) => {
    // undefined: it never answers.
    if (body !== undefined) response.writeHead(status).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const PEER = '12D3KooWGmCiQCBd4jKpPSGcTKgFXLdhAkQbPZWgJbDR9xVtbNWg';

export function sampleStatus(): AgentStatus {
  return {
    version: '0.1.0',
    peerId: PEER,
    uptimeSeconds: 273_600,
    mirror: { addresses: ['127.0.0.1:5055', '[::1]:5055'], awaited: [] },
    store: {
      path: '/var/lib/layerlan',
      blobs: 132,
      bytes: 4_523_000_000,
      used: 4_600_000_000,
      bound: 20 * 1024 ** 3,
      state: 'ok',
      since: '2026-11-01T08:00:00.000Z',
      reason: null,
    },
    traffic: {
      upstreamBytes: 1_200_000_000,
      peerBytes: 3_330_000_000,
      servedBytes: 10_300_000_000,
      clientBytes: { store: 8_800_000_000, peer: 3_330_000_000, upstream: 1_200_000_000 },
      sparedBytes: 12_130_000_000,
    },
    rateLimits: [],
    limits: { peerUpload: null, peerDownload: null, upstream: null },
    swarm: {
      addresses: [`/ip4/192.168.100.17/tcp/4055/p2p/${PEER}`],
      mdns: { enabled: true, healthy: false, reason: 'send ENETUNREACH 224.0.0.251:5353' },
      neighbours: 7,
      networkKey: true,
    },
    peers: [
      {
        id: PEER,
        addresses: [`/ip4/10.0.0.2/tcp/4055/p2p/${PEER}`, '/ip6/fe80::1/tcp/4055'],
        state: 'connected',
        blobs: 12,
        strikes: 0,
        bulk: 'open',
      },
      { id: null, addresses: ['/dns4/peer.lan/tcp/4055'], state: 'backing-off', blobs: null, bulk: null, strikes: 3 },
    ],
  };
}
