import type { TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { openDatastore } from '../../../agent/swarm/datastore.ts';
import { createNode, type Node } from '../../../agent/swarm/node.ts';
import { nextAddress } from './fixture.ts';

/** A node without a network key, gater or discovery, that ends with the test. */
export async function startNode(t: TestContext, { dht }: { dht: boolean }): Promise<Node> {
  const datastore = openDatastore(undefined);
  const node = await createNode({
    privateKey: await generateKeyPair('Ed25519'),
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    prologue: new Uint8Array(0),
    gater: {},
    datastore,
    dht,
    discovery: [],
  });
  await node.start();
  t.after(async () => {
    for (const connection of node.getConnections()) connection.abort(new Error('over'));
    await node.stop();
    datastore.close();
  });
  return node;
}
