import assert from 'node:assert/strict';
import { peerId } from './agent.ts';
import { since } from './counters.ts';
import { labTest, untilConnected } from './lab.ts';
import { percent, pullRight } from './pull.ts';
import { blobGets } from './registry.ts';

/** What TCP, HTTP and the manifests' HEADs may add to an image's bytes. */
const OVERHEAD = 1.03;

const MIN_SIZE = 150 * 1024 * 1024;

labTest('1. the first host pulls a real image: its bytes cross the uplink once', async (lab) => {
  const { full } = lab.images;
  assert.ok(full.size > MIN_SIZE, `an image of ${full.size} bytes`);
  const host = await lab.addHost();
  await host.agent.start();
  const uplink = since(lab.network.upstream.counters.sent);
  const took = await pullRight(host, full);
  const crossed = uplink();
  lab.note(`pulled in ${took.toFixed(1)} s; ${percent(crossed, full.size)} of the image crossed the uplink`);
  assert.ok(crossed >= full.size && crossed <= full.size * OVERHEAD, `${crossed} bytes for an image of ${full.size}`);
  for (const { digest } of full.blobs) {
    const gets = blobGets(await lab.registry.requests()).filter((request) => request.includes(digest));
    assert.equal(gets.length, 1, `one GET of ${digest}: ${gets}`);
  }
});

labTest('2. the others take it from the first, and nothing of it from upstream', async (lab) => {
  const { full } = lab.images;
  const hosts = [await lab.addHost(), await lab.addHost(), await lab.addHost()] as const;
  const agents = hosts.map((host) => host.agent);
  await Promise.all(agents.map((agent) => agent.start()));
  await untilConnected(...agents);
  const [first, second, third] = hosts;
  await pullRight(first, full);
  const before = (await lab.registry.requests()).length;
  for (const host of [second, third]) {
    const uplink = since(lab.network.upstream.counters.sent);
    const took = await pullRight(host, full);
    const crossed = uplink();
    lab.note(`pulled in ${took.toFixed(1)} s; ${percent(crossed, full.size)} of the image crossed the uplink`);
    assert.ok(crossed < full.size / 100, `${crossed} bytes crossed the uplink`);
  }
  assert.deepEqual(blobGets((await lab.registry.requests()).slice(before)), []);
  const giver = await peerId(first.agent);
  const told = (await second.agent.log()).map((line) => JSON.stringify(line));
  assert.ok(
    told.some((line) => line.includes(giver) && line.includes(full.largest.digest)),
    `no line of the log says that ${full.largest.digest} came from ${giver}`,
  );
});
