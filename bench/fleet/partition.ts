import { must } from '../../test/lan/commands.ts';
import type { Network, Space } from '../../test/lan/network.ts';

const TABLE = 'partition';

/** Cuts the LAN in two: nothing passes the switch between the two sides, and both keep the uplink. */
export async function partition(network: Network, one: readonly Space[], other: readonly Space[]): Promise<void> {
  const set = (side: readonly Space[]) => `{ ${side.map(({ port }) => `"${port}"`).join(', ')} }`;
  const rules = [
    `iifname ${set(one)} oifname ${set(other)} drop`,
    `iifname ${set(other)} oifname ${set(one)} drop`,
  ].join('\n');
  const chain = `chain passed { type filter hook forward priority 0; policy accept;\n${rules}\n}`;
  await nft(network, `table bridge ${TABLE} {\n${chain}\n}`);
}

/** Makes it one again; nothing where it is one. */
export async function heal(network: Network): Promise<void> {
  // Adding what is there is no error, deleting what is not would be.
  await nft(network, `add table bridge ${TABLE}; delete table bridge ${TABLE}`);
}

async function nft(network: Network, script: string): Promise<void> {
  await must(['ip', 'netns', 'exec', network.router, 'nft', script]);
}
