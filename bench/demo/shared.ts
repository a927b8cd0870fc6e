import { connected, type Host, startHost } from '../../test/support/host.ts';
import { startUpstreamRegistry } from '../../test/support/upstream-registry.ts';
import { pullAndTell, type Told, tell } from './told.ts';

const MIB = 1024 * 1024;
const LAYERS = [24 * MIB, 9 * MIB, 3 * MIB, 300_000];

/** Three hosts pull one image one after the other, then another one all at once. @returns whether every byte was right */
export async function shared(): Promise<boolean> {
  const upstream = await startUpstreamRegistry();
  const hosts: Host[] = [];
  const told: Told[] = [];
  try {
    upstream.addImage('library/first', { layers: LAYERS, seed: 'first' });
    upstream.addImage('library/second', { layers: LAYERS, seed: 'second' });
    for (const n of [1, 2, 3]) {
      const peers = hosts.flatMap((host) => host.agent.peerAddresses);
      const host = await startHost({ address: `127.0.0.${n + 1}`, upstream: upstream.url, peers });
      hosts.push(host);
    }
    await Promise.all(hosts.map((host) => connected(host, 2)));

    console.log('One after the other: library/first');
    for (const [at, host] of hosts.entries()) told.push(await pullAndTell(`host ${at + 1}`, host, 'library/first'));
    tell(told.slice(-3));

    console.log('\nHost 1 again: library/first');
    told.push(await pullAndTell('host 1', hosts[0] as Host, 'library/first'));
    tell(told.slice(-1));

    console.log('\nAll at once: library/second (new to all: one copy from upstream, shared while it comes)');
    const all = hosts.map((host, at) => pullAndTell(`host ${at + 1}`, host, 'library/second'));
    told.push(...(await Promise.all(all)));
    tell(told.slice(-3));
    return told.every((each) => each.matches);
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
    await upstream.close();
  }
}
