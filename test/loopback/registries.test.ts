import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { connected, type Host, type HostOptions, startHost } from '../support/host.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const NAME = 'registry.example';
const LAYERS = [3 * 1024 * 1024 + 11, 1000];

let authority: Authority;
let upstream: UpstreamRegistry;
let proxy: ConnectProxy;
let folder: string;
let ca: string;
let hosts: Host[];

beforeEach(async () => {
  authority = createAuthority();
  upstream = await startUpstreamRegistry({ tls: authority.issue(NAME, '127.0.0.1') });
  proxy = await startConnectProxy({ [`${NAME}:443`]: upstream.host });
  folder = await mkdtemp(join(tmpdir(), 'layerlan-ca-'));
  ca = join(folder, 'ca.pem');
  await writeFile(ca, authority.cert);
  hosts = [];
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await Promise.all([upstream.close(), proxy.close(), rm(folder, { recursive: true })]);
});

async function host(options: Partial<HostOptions> = {}): Promise<Host> {
  const peers = hosts.flatMap((each) => each.agent.peerAddresses);
  const address = `127.0.0.${hosts.length + 2}`;
  const started = await startHost({ address, upstream: upstream.url, peers, ...options });
  hosts.push(started);
  await connected(started, peers.length);
  return started;
}

/** What a client is told. */
async function refusalOf(of: Host, path: string): Promise<{ status: number; code: string; message: string }> {
  const response = await fetch(`${of.mirror}/v2/${path}`);
  const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
  return { status: response.status, code: errors[0]?.code ?? '', message: errors[0]?.message ?? '' };
}

test('a TLS registry with its own CA: told without it, pulled with it, as is the storage it redirects to', async () => {
  upstream.addImage('library/app', { layers: LAYERS });
  upstream.misbehave({ kind: 'redirect' });
  const without = await host();
  const told = await refusalOf(without, 'library/app/manifests/latest');
  assert.equal(told.status, 502);
  assert.match(told.message, /certificate of an unknown CA/);
  assert.equal(upstream.requests.length, 0);
  await without.stop();
  hosts = [];
  const trusting = await host({ config: { registries: { 'docker.io': { endpoints: [upstream.url], ca } } } });
  assert.ok((await trusting.pull('library/app', 'latest')).matches);
});

test('a CA file that is missing ends the start, and is named', async () => {
  const config = { registries: { '*': { ca: join(folder, 'none.pem') } } };
  await assert.rejects(startHost({ upstream: upstream.url, config }), (error) => {
    assert.ok(error instanceof AgentError && error.code === 'CA_INVALID', String(error));
    assert.match(error.message, /^registries\["\*"\]\.ca: .*none\.pem cannot be read: ENOENT$/);
    return true;
  });
});

test('through the proxy of the environment: a registry whose name only the proxy knows, listed nowhere', async () => {
  upstream.addImage('owner/app', { layers: LAYERS });
  const env = { HTTPS_PROXY: proxy.url.replace('//', '//user:hunter2@') };
  const only = await host({ env, config: { registries: { '*': { ca } } } });
  assert.ok((await only.pull(`${NAME}/owner/app`, 'latest')).matches);
  assert.ok(proxy.forwarded > LAYERS[0]!);
  assert.deepEqual([...new Set(proxy.asked)], [`${NAME}:443`]);

  await only.stop();
  hosts = [];
  proxy.refuseWith = 407;
  const refused = await host({ env, config: { registries: { '*': { ca } } } });
  const told = await refusalOf(refused, `${NAME}/owner/app/manifests/latest`);
  assert.equal(told.status, 502);
  assert.match(told.message, /the proxy http:\/\/127\.0\.0\.1:\d+ wants a user and a password that it accepts \(407\)/);
  assert.doesNotMatch(JSON.stringify([told, refused.log]), /hunter2|aHVudGVyMg|dXNlcjpodW50ZXIy/);
});

test('through the configured proxy', async () => {
  upstream.addImage('library/app', { layers: LAYERS });
  const config = { registries: { 'docker.io': { endpoints: [upstream.url], ca } }, upstream: { proxy: proxy.url } };
  const only = await host({ config });
  assert.ok((await only.pull('library/app', 'latest')).matches);
  assert.ok(proxy.forwarded > LAYERS[0]!);
  assert.deepEqual([...new Set(proxy.asked)], [upstream.host]);
});

test('what is not allowed is refused though the store holds it and a peer does; what is not listed is not looked for', async () => {
  const image = upstream.addImage('library/app', { layers: LAYERS });
  const open = { endpoints: [upstream.url], ca };
  const peer = await host({ config: { registries: { 'docker.io': open } } });
  assert.ok((await peer.pull('library/app', 'latest')).matches);
  const directory = folder;
  const before = await startHost({
    address: '127.0.0.9',
    upstream: upstream.url,
    directory,
    config: { registries: { 'docker.io': open } },
  });
  assert.ok((await before.pull('library/app', 'latest')).matches);
  await before.stop();

  const registries = { only: true, 'docker.io': { ...open, deny: ['library/app'] } };
  const denying = await host({ directory, config: { registries } });
  assert.ok((await denying.agent.status()).store.blobs > 0);
  upstream.forget();
  for (const path of [
    'library/app/manifests/latest',
    `library/app/manifests/${image.manifest.digest}`,
    `library/app/blobs/${image.config.digest}`,
    `${NAME}/library/app/blobs/${image.config.digest}`,
  ]) {
    const told = await refusalOf(denying, path);
    assert.deepEqual([told.status, told.code], [403, 'DENIED'], path);
  }
  assert.equal(upstream.requests.length, 0);
});

test('fail-over to the second endpoint, and back to the first', async () => {
  const mirror = await startUpstreamRegistry();
  try {
    const image = { layers: LAYERS };
    mirror.addImage('library/app', image);
    upstream.addImage('library/app', image);
    upstream.addImage('library/other', { layers: [5000], seed: 'other' });
    mirror.addImage('library/other', { layers: [5000], seed: 'other' });
    const endpoints = [mirror.url, upstream.url];
    const only = await host({ config: { registries: { 'docker.io': { endpoints, ca } } } });
    await mirror.refuse();
    assert.ok((await only.pull('library/app', 'latest')).matches);
    assert.equal(mirror.requests.length, 0);
    await mirror.comeBack();
    upstream.forget();
    assert.ok((await only.pull('library/other', 'latest')).matches);
    assert.equal(upstream.requests.length, 0);
  } finally {
    await mirror.close();
  }
});
