/**
 * What runs on a host of the fleet bench in place of an agent, and means harm to the others.
 * Usage: hostile-host.ts JSON, where JSON is {behaviour, count, address, dial: [ADDRESS…], files: [PATH…],
 * networkKeyFile?, leads?: {digest, among}}. With `leads` the first of its identities ranks highest for a blob.
 * Says {peerIds} when it is connected to all of `dial`, and at each line on its standard input how many chunks each of its
 * identities was asked for by whom: {asked: {IDENTITY: {PEER: COUNT}}}. Like all it plays it knows docs/protocol.md and imports nothing of agent/ or protocol/
 * (test/house/hostile-programs.test.ts).
 */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { BEHAVIOURS, type Behaviour, startHostilePeer } from '../../test/support/hostile-peer.ts';
import { startHostileTaker, TAKER_BEHAVIOURS, type TakerBehaviour } from '../../test/support/hostile-taker.ts';
import { parseKey } from '../../test/support/independent-node.ts';

/** The first identity listens where an agent would, the others above it. */
const FIRST_PORT = 4055;

interface Order {
  readonly behaviour: string;
  readonly count: number;
  readonly address: string;
  readonly dial: readonly string[];
  /** Blobs that it claims to hold, or gives true chunks of beside false ones. */
  readonly files: readonly string[];
  readonly networkKeyFile?: string;
  readonly leads?: { readonly digest: string; readonly among: readonly string[] };
}

const order = JSON.parse(process.argv[2] ?? '') as Order;
const dial = order.dial.map((address) => `/ip4/${address}/tcp/${FIRST_PORT}`);
const key =
  order.networkKeyFile === undefined ? {} : { networkKey: parseKey(await readFile(order.networkKeyFile, 'utf8')) };
const blobs = await Promise.all(order.files.map((path) => readFile(path)));
const peers: { readonly askedBy: ReadonlyMap<string, number> }[] = [];
const peerIds: string[] = [];
for (let identity = 0; identity < order.count; identity++) peerIds.push(await start(identity));
console.log(JSON.stringify({ peerIds }));
for await (const _ of createInterface({ input: process.stdin })) {
  const asked = peers.map(({ askedBy }, identity) => [peerIds[identity], Object.fromEntries(askedBy)]);
  console.log(JSON.stringify({ asked: Object.fromEntries(asked) }));
}
process.exit(0);

async function start(identity: number): Promise<string> {
  const listen = `/ip4/${order.address}/tcp/${FIRST_PORT + identity}`;
  const { behaviour } = order;
  if (behaviour in TAKER_BEHAVIOURS) {
    const leads = identity === 0 && order.leads !== undefined ? { leads: order.leads } : {};
    const taker = await startHostileTaker({ listen, behaviour: behaviour as TakerBehaviour, blobs, ...leads, ...key });
    peers.push(taker);
    for (const address of dial) await taker.join(address);
    return taker.id;
  }
  if (!(behaviour in BEHAVIOURS)) throw new Error(`nobody behaves like ${behaviour}`);
  const peer = await startHostilePeer({ listen: [listen], dial, blobs, behaviour: behaviour as Behaviour, ...key });
  peers.push(peer);
  return peer.peerId;
}
