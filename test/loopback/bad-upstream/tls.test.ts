import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { told } from '../../support/bad-upstream/client.ts';
import { startBadRegistry } from '../../support/bad-upstream/registry.ts';
import { type Authority, createAuthority } from '../../support/certificates.ts';
import { startConnectProxy } from '../../support/connect-proxy.ts';
import { startHost } from '../../support/host.ts';

const NAME = 'registry.example';

/** Milliseconds. */
const PATIENCE = 60_000;

let authority: Authority;
let folder: string;
let ca: string;

before(async () => {
  authority = createAuthority();
  folder = await mkdtemp(join(tmpdir(), 'layerlan-ca-'));
  ca = join(folder, 'ca.pem');
  await writeFile(ca, authority.cert);
});

after(() => rm(folder, { recursive: true }));

/** What a registry has to show, and what a client is told of it. */
const CASES: [name: string, show: () => { key: string; cert: string } | undefined, hasCa: boolean, told: RegExp][] = [
  [
    'of an unknown CA',
    () => authority.issue('127.0.0.1'),
    false,
    /unknown CA .*name the CA that signs for it in .* ca/,
  ],
  ['that has expired', () => authority.issueExpired('127.0.0.1'), true, /has expired: it must be renewed there/],
  ['for another name', () => authority.issue('other.example'), true, /for other names: write it in .*endpoints/],
  ['that is none: it speaks no TLS', () => undefined, true, /does not speak TLS: write it in .* with http:\/\//],
];

describe('a registry with a certificate', { concurrency: true }, () => {
  for (const [name, show, hasCa, message] of CASES) {
    test(name, async () => {
      const tls = show();
      const registry = await startBadRegistry(tls === undefined ? {} : { tls });
      const endpoints = [registry.url.replace('http:', 'https:')];
      const host = await startHost({
        upstream: registry.url,
        config: { registries: { 'docker.io': hasCa ? { endpoints, ca } : { endpoints } } },
      });
      try {
        const url = `${host.mirror}/v2/library/app/manifests/latest`;
        const outcome = await told(url, registry.image.manifest.bytes, PATIENCE);
        assert.ok(outcome.kind === 'error' && outcome.status === 502, JSON.stringify(outcome));
        assert.match(outcome.message, message);
        assert.equal(registry.asked.length, 0);
        assert.equal((await host.agent.status()).store.blobs, 0);
      } finally {
        await host.stop();
        await registry.close();
      }
    });
  }
});

test('a registry on the internet that redirects to private addresses: nobody is asked there', async () => {
  const storage = await startBadRegistry();
  const registry = await startBadRegistry({ tls: authority.issue(NAME) });
  const { port } = new URL(storage.url);
  const proxy = await startConnectProxy({ [`${NAME}:443`]: registry.host, [storage.host]: storage.host });
  const host = await startHost({
    upstream: 'http://127.0.0.1:1',
    env: { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url },
    config: { registries: { '*': { ca } } },
  });
  const path = `${host.mirror}/v2/${NAME}/library/app`;
  const { image, layer } = registry;
  try {
    for (const to of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, '169.254.169.254', '10.0.0.1']) {
      registry.misbehave('blob', ({ send }) => send(307, { location: `http://${to}/storage`, 'content-length': 0 }));
      const outcome = await told(`${path}/blobs/${layer.digest}`, layer.bytes, PATIENCE);
      assert.ok(outcome.kind === 'error' && outcome.status === 403, `${to}: ${JSON.stringify(outcome)}`);
      assert.match(outcome.message, /is at a private address/, to);
    }
    assert.equal(storage.asked.length, 0);
    assert.deepEqual([...new Set(proxy.asked)], [`${NAME}:443`]);
    registry.behave();
    assert.equal((await told(`${path}/manifests/latest`, image.manifest.bytes, PATIENCE)).kind, 'right');
    assert.equal((await told(`${path}/blobs/${layer.digest}`, layer.bytes, PATIENCE)).kind, 'right');
  } finally {
    await host.stop();
    await Promise.all([proxy.close(), registry.close(), storage.close()]);
  }
});
