import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { findProviders } from '../../../agent/swarm/dht.ts';
import { HORIZON_TTL, Horizon, type Walk } from '../../../agent/swarm/horizon.ts';
import type { Node } from '../../../agent/swarm/node.ts';
import { toDigest } from '../../../protocol/digest.ts';
import { startNode } from './bare-node.ts';
import { blob, soon, until } from './fixture.ts';

const start = (t: TestContext) => startNode(t, { dht: true });

async function walk(node: Node, signal = soon()): Promise<Walk | undefined> {
  let found: Walk | undefined;
  const digest = toDigest('sha256', blob(32));
  for await (const provider of findProviders(node, digest, signal, (w) => {
    found = w;
  })) {
    assert.fail(`found ${provider.id}`);
  }
  return found;
}

/** A row: each knows the one before. */
async function startRow(t: TestContext): Promise<Node[]> {
  const nodes = await Promise.all([start(t), start(t), start(t), start(t)]);
  for (const [at, node] of nodes.entries()) {
    const before = nodes[at - 1];
    if (before !== undefined) await node.dial(before.getMultiaddrs());
  }
  return nodes;
}

test('a walk meets every node of a small DHT, neighbours or not', async (t) => {
  const nodes = await startRow(t);
  const first = nodes[0] as Node;
  const all = nodes.slice(1).map(({ peerId }) => peerId.toString());
  await until(async () => {
    const found = await walk(first);
    return found?.isWhole === true && all.every((id) => found.met.has(id));
  });
  // So none is overlooked once it is settled; and whoever is met and no neighbour keeps the horizon open.
  const horizon = new Horizon();
  const settled = (await walk(first)) as Walk;
  horizon.walked(settled, 0, (id) => id !== all[2]);
  assert.equal(horizon.isClosed, false);
  horizon.walked(settled, 0, (id) => all.includes(id));
  assert.equal(horizon.isClosed, true);
});

test('a walk that was cut short, or that nobody answered, tells nothing', async (t) => {
  const [first, last] = await startRow(t);
  assert.equal(await walk(first as Node, AbortSignal.abort()), undefined);
  await until(async () => ((await walk(first as Node))?.met.size ?? 0) > 0);
  await last?.stop();
  const after = await walk(await start(t));
  assert.equal(after?.met.size ?? 0, 0);
});

const everybody = () => true;
const nobody = () => false;
const many = (count: number) => new Set(Array.from({ length: count }, (_, at) => `peer ${at}`));

test('a whole walk among neighbours closes the horizon; what was cut short, or met nobody, does not', () => {
  const closes = (met: ReadonlySet<string>, isWhole: boolean, isKnown: (id: string) => boolean) => {
    const horizon = new Horizon();
    horizon.walked({ met, isWhole }, 0, isKnown);
    return horizon.isClosed;
  };
  assert.equal(closes(many(2), true, everybody), true);
  assert.equal(closes(many(2), false, everybody), false);
  assert.equal(closes(many(0), true, everybody), false);
  assert.equal(
    closes(many(2), true, (id) => id !== 'peer 1'),
    false,
  );
  assert.equal(closes(many(25), true, everybody), true);
});

test('a closed horizon stays so until a stranger is met, also on half a walk; an old finding is due to be looked into', () => {
  const horizon = new Horizon();
  assert.ok(horizon.isDue(0));
  horizon.walked({ met: many(2), isWhole: true }, 0, everybody);
  assert.ok(!horizon.isDue(HORIZON_TTL - 1));
  assert.ok(horizon.isDue(HORIZON_TTL) && horizon.isClosed);
  horizon.walked({ met: many(2), isWhole: false }, HORIZON_TTL, nobody);
  assert.ok(!horizon.isClosed && !horizon.isDue(HORIZON_TTL + 4_999));
  assert.ok(horizon.isDue(HORIZON_TTL + 5_000));
});
