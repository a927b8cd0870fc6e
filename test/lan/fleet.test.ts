import assert from 'node:assert/strict';
import { since } from './counters.ts';
import { labTest, untilConnected } from './lab.ts';
import { percent, pullRight } from './pull.ts';
import { manifestGets } from './registry.ts';

/** An uplink far narrower than the LAN, as branch offices have. Mbit/s */
const UPLINK = 100;

const HOSTS = 4;

/**
 * What may cross the uplink, as a part of the image: its bytes once, the headers of TCP and HTTP (3 %), and what a cut
 * connection had under way.
 */
const ONE_COPY = 1.06;

labTest('9. four hosts pull the same image at the same moment: its bytes cross the uplink once', async (lab) => {
  const { full } = lab.images;
  const hosts = await Promise.all(Array.from({ length: HOSTS }, () => lab.addHost()));
  const agents = hosts.map((host) => host.agent);
  await Promise.all(agents.map((agent) => agent.start()));
  await untilConnected(...agents);
  await lab.network.upstream.shape(UPLINK);
  const uplink = since(lab.network.upstream.counters.sent);
  const took = await Promise.all(hosts.map((host) => pullRight(host, full)));
  const crossed = uplink();
  lab.note(
    `pulled in ${took.map((each) => each.toFixed(1)).join(', ')} s; ${percent(crossed, full.size)} of the image crossed the uplink`,
  );
  assert.ok(crossed >= full.size && crossed <= full.size * ONE_COPY, `${crossed} bytes for an image of ${full.size}`);
  const manifests = manifestGets(await lab.registry.requests()).filter((request) => request.includes('sha256:'));
  assert.equal(new Set(manifests).size, manifests.length, `a manifest was asked for more than once: ${manifests}`);
});
