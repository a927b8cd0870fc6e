import type { TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import { openDatastore } from '../../../../agent/swarm/datastore.ts';
import { createNode, type Node } from '../../../../agent/swarm/node.ts';
import { nextAddress } from '../fixture.ts';

const PROTOCOL = '/test/1.0.0';

async function startNode(t: TestContext): Promise<Node> {
  const datastore = openDatastore(undefined);
  const node = await createNode({
    privateKey: await generateKeyPair('Ed25519'),
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    prologue: new Uint8Array(0),
    gater: {},
    datastore,
    dht: false,
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

/** Both ends of a stream between two nodes. */
export async function streamPair(t: TestContext): Promise<{ near: Stream; far: Stream }> {
  const [one, two] = await Promise.all([startNode(t), startNode(t)]);
  const arrived = Promise.withResolvers<Stream>();
  await two.handle(PROTOCOL, (stream) => arrived.resolve(stream));
  const near = await one.dialProtocol(two.getMultiaddrs(), PROTOCOL);
  return { near, far: await arrived.promise };
}
