import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CID } from 'multiformats/cid';
import { pino } from 'pino';
import { startAdvertiser } from '../../../agent/swarm/advertiser.ts';
import { cidOf } from '../../../agent/swarm/dht.ts';
import { createInventories } from '../../../agent/swarm/inventory/inventories.ts';
import { lookup } from '../../../agent/swarm/lookup.ts';
import { createMissingRecord } from '../../../agent/swarm/missing.ts';
import type { Neighbours } from '../../../agent/swarm/neighbours.ts';
import type { Node } from '../../../agent/swarm/node.ts';
import { Walks } from '../../../agent/swarm/walks.ts';
import { createMemoryHoldings } from '../../support/holdings.ts';
import { blob, soon, until } from './fixture.ts';

/* A sha512 key fails at the peer that is asked, where nobody here sees it: what is asked at all is what can be tried. */

/** A node that notes which keys its DHT is given. */
function recordingNode() {
  const keys: string[] = [];
  const note = async function* (key: CID) {
    keys.push(key.toString());
    yield { name: 'PEER_RESPONSE', messageName: 'ADD_PROVIDER' };
  };
  const findProviders = (key: CID) => {
    keys.push(key.toString());
    return [];
  };
  const node = {
    services: { dht: { provide: note, findProviders } },
    contentRouting: { cancelReprovide: async () => {} },
  };
  return { node: node as unknown as Node, keys };
}

test('only sha256 blobs are provided, those held at the start and those held later', async (t) => {
  const { node, keys } = recordingNode();
  const holdings = createMemoryHoldings();
  const first = holdings.hold(blob(10));
  holdings.hold(blob(10), 'sha512');
  const logger = pino({ enabled: false });
  const advertiser = startAdvertiser({ node, holdings, logger, hasNeighbours: () => true }, 0);
  t.after(() => advertiser.stop());
  const second = holdings.hold(blob(10));
  // Held last, so it would go first.
  const other = holdings.hold(blob(10), 'sha512');
  await until(() => keys.length >= 2);
  holdings.drop(other);
  assert.deepEqual(keys.sort(), [first, second].map((digest) => cidOf(digest).toString()).sort());
});

test('only sha256 blobs are looked up', async () => {
  const { node, keys } = recordingNode();
  const holdings = createMemoryHoldings();
  const components = {
    node,
    neighbours: { all: [] } as unknown as Neighbours,
    inventories: createInventories(),
    walks: new Walks({ node, isKnown: () => true, now: () => 0 }),
    missing: createMissingRecord(() => 0),
    isBanned: () => false,
    onGarbage: () => {},
  };
  const plain = holdings.hold(blob(10));
  for (const digest of [holdings.hold(blob(10), 'sha512'), plain]) {
    for await (const holder of lookup(digest, soon(), components, { dht: true, answerTimeout: 1, mapTimeout: 1 })) {
      assert.fail(holder.peer);
    }
  }
  assert.deepEqual(keys, [cidOf(plain).toString()]);
});
