import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { connected, type Host, startHost } from '../support/host.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const HOSTS = 4;
const LAYERS = [40 * MIB + 11, 9 * MIB, 3 * MIB, 1000];

let upstream: UpstreamRegistry;
let hosts: Host[];

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  hosts = [];
  for (let n = 0; n < HOSTS; n++) {
    const peers = hosts.flatMap((each) => each.agent.peerAddresses);
    hosts.push(await startHost({ address: `127.0.0.${n + 2}`, upstream: upstream.url, peers }));
  }
  for (const host of hosts) await connected(host, HOSTS - 1);
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await upstream.close();
});

test('what all want at once crosses the uplink once', async () => {
  const image = upstream.addImage('library/app', { layers: LAYERS });
  const size = image.layers.reduce((sum, layer) => sum + layer.size, image.config.size);
  upstream.misbehave({ kind: 'rate', bytesPerSecond: 8 * MIB });
  const pulled = await Promise.all(hosts.map((host) => host.pull('library/app', 'latest')));
  assert.ok(pulled.every(({ matches }) => matches));
  assert.equal(upstream.bytesServed(), size);
  for (const { log } of hosts) {
    assert.deepEqual(
      log.filter(({ level }) => Number(level) >= 40),
      [],
    );
  }
});
