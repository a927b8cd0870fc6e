import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf } from '../support/content.ts';
import { connected, type Host, startHost, until } from '../support/host.ts';
import { type HostileTaker, startHostileTaker, type TakerBehaviour } from '../support/hostile-taker.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const HONEST = 4;
const LIARS = 2;

let upstream: UpstreamRegistry;
let hosts: Host[];
let liars: HostileTaker[];

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  hosts = [];
  liars = [];
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await Promise.all(liars.map((liar) => liar.stop()));
  await upstream.close();
});

for (const behaviour of ['lies', 'slips'] satisfies TakerBehaviour[]) {
  test(`two liars among six (${behaviour}): all pulls come right, and both are shut out by whom they lied to`, async () => {
    const image = upstream.addImage('library/app', { layers: [60 * MIB + 5, 5 * MIB] });
    const size = image.layers.reduce((sum, layer) => sum + layer.size, image.config.size);
    const blobs = [...image.blobs.values()].map(bytesOf);
    for (let n = 0; n < LIARS; n++) {
      liars.push(await startHostileTaker({ listen: `/ip4/127.0.0.${80 + n}/tcp/0`, behaviour, blobs }));
    }
    // The hosts dial the liars: on loopback all who dial have one address, and with a liar's all of them would be banned.
    const theirs = liars.flatMap(({ addresses }) => addresses);
    for (let n = 0; n < HONEST; n++) {
      const peers = [...hosts.flatMap((each) => each.agent.peerAddresses), ...theirs];
      hosts.push(await startHost({ address: `127.0.0.${n + 2}`, upstream: upstream.url, peers }));
    }
    for (const host of hosts) await connected(host, HONEST + LIARS - 1);
    const pulled = await Promise.all(hosts.map((host) => host.pull('library/app', 'latest')));
    assert.ok(pulled.every(({ matches }) => matches));
    const copies = upstream.bytesServed() / size;
    assert.ok(copies <= 2.1, `${copies} copies`);
    for (const { agent, log } of hosts) {
      const fooled = log.filter(({ msg }) => msg === 'peer vouched for a false chunk').map(({ peer }) => peer);
      await until('the liars are shut out', async () => {
        const { peers } = await agent.status();
        return fooled.every((liar) => peers.find(({ id }) => id === liar)?.state === 'banned');
      });
      const honest = new Set(hosts.map((host) => host.agent.peerId));
      assert.ok(
        fooled.every((peer) => !honest.has(String(peer))),
        'nobody honest is blamed',
      );
    }
    const caught = hosts.flatMap(({ log }) => log.filter(({ msg }) => msg === 'peer banned').map(({ peer }) => peer));
    assert.deepEqual(new Set(caught), new Set(liars.map(({ id }) => id)));
  });
}
