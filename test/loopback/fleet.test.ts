import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { startAgentProcess } from '../support/agent-process.ts';
import { connected, type Host, startHost, until } from '../support/host.ts';
import { pullImage } from '../support/puller.ts';
import { type ServedRequest, startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

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

/** Requests for manifests so far. */
function asked(method: string): ServedRequest[] {
  return upstream.requests.filter((each) => each.kind === 'manifest' && each.method === method);
}

for (const index of [false, true]) {
  test(`manifests cross the uplink once too${index ? ', those behind an index and the index' : ''}`, async () => {
    const image = upstream.addImage('library/app', { layers: [1000], index });
    upstream.misbehave({ kind: 'delay', milliseconds: 50, on: 'manifest' });
    const pulled = await Promise.all(hosts.map((host) => host.pull('library/app', 'latest')));
    assert.ok(pulled.every(({ matches }) => matches));
    const digests = [image.index, image.manifest].flatMap((each) => each?.digest ?? []);
    assert.deepEqual(
      asked('GET')
        .map(({ digest }) => digest)
        .sort(),
      digests.sort(),
    );
    assert.ok(asked('HEAD').length <= HOSTS);
    assert.ok(asked('HEAD').every(({ path }) => path.endsWith('/latest')));
  });
}

test('the host that fetches a manifest is killed in the middle: one of the others does', async () => {
  const { manifest } = upstream.addImage('library/app', { layers: [1000] });
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-fleet-'));
  const peers = hosts.flatMap((each) => each.agent.peerAddresses);
  const killed = await startAgentProcess(directory, { address: '127.0.0.9', upstream: upstream.url, peers });
  try {
    for (const host of hosts) await connected(host, HOSTS);
    upstream.misbehave({ kind: 'black-hole', on: 'manifest', method: 'GET', times: 1 });
    const lost = pullImage({ mirror: killed.mirror, repository: 'library/app', reference: 'latest' }).catch(() => {});
    await until('the manifest is asked for', () => asked('GET').length === 1);
    const pulls = Promise.all(hosts.map((host) => host.pull('library/app', 'latest')));
    await until('all have the digest', () => asked('HEAD').length === HOSTS + 1);
    await killed.end('SIGKILL');
    await lost;
    assert.ok((await pulls).every(({ matches }) => matches));
    assert.deepEqual(
      asked('GET').map(({ digest }) => digest),
      [manifest.digest, manifest.digest],
    );
  } finally {
    if (killed.child.signalCode === null) await killed.end('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
});

test('a manifest that upstream denies is denied to all, who ask once each', async () => {
  upstream.addImage('library/app', { layers: [1000] });
  upstream.misbehave({ kind: 'status', status: 404, on: 'manifest', method: 'GET' });
  const pulls = await Promise.allSettled(hosts.map((host) => host.pull('library/app', 'latest')));
  for (const pull of pulls) assert.match(pull.status === 'rejected' ? String(pull.reason) : 'pulled', /404/);
  assert.ok(asked('GET').length <= HOSTS);
});
