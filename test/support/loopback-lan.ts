import { afterEach, beforeEach } from 'node:test';
import { connected, type Host, type HostOptions, startHost } from './host.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from './upstream-registry.ts';

/** Hosts on loopback addresses of their own, and the registry behind them. */
export interface LoopbackLan {
  /** A test may put another in its place. */
  upstream: UpstreamRegistry;
  /** Those that stop with the test. */
  hosts: Host[];
  /** Host n at 127.0.0.(n+1), which dials all before it where `over` does not say whom. Resolves when they are connected. */
  host(this: void, over?: Partial<HostOptions>): Promise<Host>;
}

/** A LAN for each test of the file: with a registry, and no host yet. */
export function lanForEachTest(): LoopbackLan {
  let upstream: UpstreamRegistry | undefined;
  const lan: LoopbackLan = {
    get upstream() {
      if (upstream === undefined) throw new Error('no test is running');
      return upstream;
    },
    set upstream(another) {
      upstream = another;
    },
    hosts: [],
    host: async (over = {}) => {
      const peers = over.peers ?? lan.hosts.flatMap((each) => each.agent.peerAddresses);
      const address = `127.0.0.${lan.hosts.length + 2}`;
      const started = await startHost({ address, upstream: lan.upstream.url, ...over, peers });
      lan.hosts.push(started);
      await connected(started, peers.length);
      return started;
    },
  };
  beforeEach(async () => {
    lan.upstream = await startUpstreamRegistry();
    lan.hosts = [];
  });
  afterEach(async () => {
    await Promise.all(lan.hosts.map((host) => host.stop()));
    await lan.upstream.close();
  });
  return lan;
}
