import type { TestContext } from 'node:test';
import type { Stream } from '@libp2p/interface';
import { startNode } from '../bare-node.ts';

const PROTOCOL = '/test/1.0.0';

/** Both ends of a stream between two nodes. */
export async function streamPair(t: TestContext): Promise<{ near: Stream; far: Stream }> {
  const [one, two] = await Promise.all([startNode(t, { dht: false }), startNode(t, { dht: false })]);
  const arrived = Promise.withResolvers<Stream>();
  await two.handle(PROTOCOL, (stream) => arrived.resolve(stream));
  const near = await one.dialProtocol(two.getMultiaddrs(), PROTOCOL);
  return { near, far: await arrived.promise };
}
