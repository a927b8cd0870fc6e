import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '../../test/lan/commands.ts';
import { since } from '../../test/lan/counters.ts';
import type { Network, Space } from '../../test/lan/network.ts';

/** The uplink counts as quiet when less came in this time. Milliseconds. */
const QUIET = 400;
/** What may still trickle: acknowledgements, keep-alives. Bytes in {@link QUIET}. */
const TRICKLE = 20_000;
/** How long it may take to become quiet. Milliseconds. */
const SETTLE_TIMEOUT = 15_000;

/** What crosses the uplink, counted on its interfaces. */
export interface Uplink {
  /** Bytes towards the LAN from now on, with headers, as upstream's interface sent them. */
  count(): () => number;
  /** Waits until nothing much comes any more: a pull's end is not always that of its agent's requests. */
  quiet(): Promise<void>;
  /** Bytes upstream has sent to each host since the lab was opened, by address, as the router passed them on. */
  byHost(): Promise<Map<string, number>>;
}

export async function createUplink(network: Network, hosts: readonly Space[]): Promise<Uplink> {
  const inside = ['ip', 'netns', 'exec', network.router];
  // By the cable they came in: where the kernel shows bridged packets to this hook too, the LAN's own must not count.
  const from = `iifname "${network.upstream.port}"`;
  const rules = hosts.map(({ address }) => `${from} ip daddr ${address} counter`).join('\n');
  const table = `table ip uplink { chain passed { type filter hook forward priority 0; policy accept;\n${rules}\n}\n}`;
  await must([...inside, 'nft', table]);
  const sent = network.upstream.counters.sent;
  return {
    count: () => since(sent),
    async quiet() {
      const deadline = performance.now() + SETTLE_TIMEOUT;
      for (let before = sent(); performance.now() < deadline; ) {
        await sleep(QUIET);
        const now = sent();
        if (now - before < TRICKLE) return;
        before = now;
      }
    },
    async byHost() {
      const listed = await must([...inside, 'nft', 'list', 'table', 'ip', 'uplink']);
      const found = listed.matchAll(/ip daddr (\S+) counter packets \d+ bytes (\d+)/g);
      return new Map(Array.from(found, ([, address, bytes]) => [address as string, Number(bytes)]));
    },
  };
}
