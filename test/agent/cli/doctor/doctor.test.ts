import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Finding } from '../../../../agent/cli/doctor/finding.ts';
import { connected, startHost } from '../../../support/host.ts';
import { startUpstreamRegistry } from '../../../support/upstream-registry.ts';
import { command, serve } from '../support.ts';

/** A host's files, a configuration, and the doctor's view of them. */
function host(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'layerlan-doctor-'));
  t.after(() => rmSync(root, { recursive: true }));
  const config = join(root, 'layerlan.yaml');
  writeFileSync(config, `store: {path: ${root}/store}\nregistries: {docker.io: {endpoints: "http://127.0.0.1:1"}}\n`);
  return {
    root,
    config,
    install: (...programs: string[]) => {
      for (const program of programs) {
        const file = join(root, 'usr/bin', program);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, '#!/bin/sh\n');
        chmodSync(file, 0o755);
      }
    },
    ask: (...options: string[]) => examine('--root', root, '--config', config, ...options),
  };
}

/** Runs the doctor. @returns its findings by name, and its exit code */
async function examine(...options: string[]): Promise<{ exit: number; by: (name: string) => Finding }> {
  const { exit, out, err } = await command('doctor', '--json', ...options);
  assert.equal(err, '');
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  return {
    exit,
    by: (name) => {
      const found = findings.find((finding) => finding.name === name);
      assert.ok(found !== undefined, `no finding ${name} in ${out}`);
      return found;
    },
  };
}

async function server(t: TestContext, answer: RequestListener): Promise<string> {
  const one = createServer(answer).listen(0, '127.0.0.1');
  await once(one, 'listening');
  t.after(() => {
    one.close();
    one.closeAllConnections();
  });
  return `http://127.0.0.1:${(one.address() as AddressInfo).port}`;
}

const endpoint = (url: string) => ['--set', `registries["docker.io"].endpoints=${url}`];

test('all is well with an agent that runs, a registry, a peer, and a client that is set up', async (t) => {
  const { root, config, install, ask } = host(t);
  const upstream = await startUpstreamRegistry({ auth: 'bearer' });
  t.after(() => upstream.close());
  const other = await startHost({ upstream: upstream.url, address: '127.0.0.3' });
  t.after(() => other.stop());
  const agent = await startHost({ upstream: upstream.url, peers: other.agent.peerAddresses });
  t.after(() => agent.stop());
  install('dockerd', 'skopeo');
  const set = ['--set', `mirror.listen=${agent.agent.mirror[0]}`, ...endpoint(upstream.url)];
  const files = ['--root', root, '--config', config];
  for (const client of ['docker', 'podman']) {
    assert.equal((await command('setup', client, '--write', ...files, ...set)).exit, 0);
  }
  await connected(agent, 1);
  const { exit, by } = await ask(...set);
  // How much room this machine has is not ours to test.
  for (const name of ['configuration', 'agent', 'container', 'mDNS', 'upstream docker.io', 'proxy', 'clock']) {
    assert.equal(by(name).state, 'ok', JSON.stringify(by(name)));
  }
  assert.deepEqual(by('peers'), { name: 'peers', state: 'ok', what: '1 connected' });
  assert.equal(by('dockerd').what, 'its configuration names the mirror');
  assert.equal(by('skopeo').what, 'its configuration names the mirror');
  assert.equal(exit, 0);
  const { out } = await command('doctor', ...files, ...set);
  assert.match(out, /^ok +agent +answers at 127\.0\.0\.2:/m);
  assert.match(out, /\n(Nothing is wrong|0 faults, 1 warning)\.\n$/);
});

test('a configuration that cannot be read is all there is to tell', async (t) => {
  const { config, ask } = host(t);
  writeFileSync(config, 'peers: {mdsn: true}\n');
  const { exit, by } = await ask();
  assert.equal(exit, 1);
  assert.match(by('configuration').what, /did you mean peers\.mdns/);
});

test('no agent, or another process in its place', async (t) => {
  const { config, ask } = host(t);
  const none = await ask('--set', 'mirror.listen=127.0.0.1:1');
  assert.equal(none.exit, 1);
  assert.match(none.by('agent').what, /no agent answers at 127\.0\.0\.1:1: connection refused/);
  assert.match(none.by('peers').what, /not seen/);
  // The owner is in the real /proc.
  const port = await serve(t, 'hello');
  const taken = await examine(
    '--config',
    config,
    '--set',
    `mirror.listen=127.0.0.1:${port}`,
    '--set',
    `peers.listen=/ip4/127.0.0.1/tcp/${port}`,
  );
  assert.equal(taken.by('agent').state, 'fail');
  assert.match(taken.by('agent').what, new RegExp(`is no layerlan agent; .* \\(pid ${process.pid}\\) listens`));
  assert.match(taken.by('peer port').what, new RegExp(`\\(pid ${process.pid}\\) listens at 127\\.0\\.0\\.1:${port}`));
});

test('a store that cannot be written', async (t) => {
  const { root, ask } = host(t);
  writeFileSync(join(root, 'file'), '');
  const { exit, by } = await ask('--set', `store.path=${root}/file/store`);
  assert.equal(exit, 1);
  assert.match(by('store').what, /file is not a directory$/);
});

test('a registry that is not there, does not answer, or is none', async (t) => {
  const { ask } = host(t);
  const refused = (await ask()).by('upstream docker.io');
  assert.deepEqual([refused.state, refused.what], ['fail', 'http://127.0.0.1:1: connection refused']);
  const silent = await server(t, () => {});
  assert.match((await ask(...endpoint(silent))).by('upstream docker.io').what, /no answer in 5 s/);
  const portal = await server(t, (_request, response) =>
    response.setHeader('content-type', 'text/html; x').end('Log in'),
  );
  assert.match((await ask(...endpoint(portal))).by('upstream docker.io').advice ?? '', /portal/);
  const good = await server(t, (_request, response) => response.end('{}'));
  const both = (await ask(...endpoint(`[${silent}, ${good}]`))).by('upstream docker.io');
  assert.equal(both.state, 'warn');
  const tls = (await ask(...endpoint(good.replace('http:', 'https:')))).by('upstream docker.io');
  assert.equal(tls.state, 'fail');
});

test('a token server that is not there, or not the registry’s', async (t) => {
  const { ask } = host(t);
  const asking = (realm: string) =>
    server(t, (_request, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` }).end();
    });
  const gone = (await ask(...endpoint(await asking('http://127.0.0.1:1/token')))).by('upstream docker.io');
  assert.match(gone.what, /^token server 127\.0\.0\.1:1 of http:\/\/127\.0\.0\.1:\d+: connection refused$/);
  const foreign = (await ask(...endpoint(await asking('http://evil.test/token')))).by('upstream docker.io');
  assert.equal(foreign.state, 'fail');
  assert.match(foreign.what, /another domain: refused/);
});

test('credentials that are not there, and those that are: nobody is shown them', async (t) => {
  const { root, ask } = host(t);
  const upstream = await startUpstreamRegistry({ auth: 'basic' });
  t.after(() => upstream.close());
  const password = join(root, 'password');
  const set = (key: string, value: string) => ['--set', `registries["docker.io"].${key}=${value}`];
  const own = [...endpoint(upstream.url), ...set('credentials', `{username: me, passwordFile: ${password}}`)];
  const missing = (await ask(...own)).by('credentials docker.io');
  assert.equal(missing.state, 'warn');
  assert.match(missing.what, /passwordFile .*\/password does not exist/);
  writeFileSync(password, 'c4n4ry\n');
  const found = (await ask(...own)).by('credentials docker.io');
  assert.equal(found.state, 'ok', found.what);
  assert.equal(JSON.stringify(found).includes('c4n4ry'), false);
  assert.deepEqual(
    upstream.requests.filter(({ authorization }) => authorization !== undefined),
    [],
  );
  const unset = await ask(...set('credentials', '{username: me, passwordEnv: LAYERLAN_TEST_NOT_SET}'));
  assert.match(unset.by('credentials docker.io').what, /LAYERLAN_TEST_NOT_SET/);
});

test('a clock that is wrong', async (t) => {
  const { ask } = host(t);
  const url = await server(t, (_request, response) => {
    response.setHeader('date', new Date(Date.now() + 600_000).toUTCString()).end('{}');
  });
  const { state, what } = (await ask(...endpoint(url))).by('clock');
  assert.equal(state, 'warn');
  assert.match(what, /(9 min 5\d s|10 min) behind/);
  assert.match((await ask()).by('clock').what, /not compared/);
});

test('clients that do not name the mirror, or in part, or in a way that is not known', async (t) => {
  const { root, config, install, ask } = host(t);
  assert.match((await ask()).by('clients').what, /none found/);
  install('dockerd', 'containerd', 'podman', 'buildkitd', 'k3s');
  const before = await ask();
  for (const name of ['dockerd', 'podman', 'buildkitd', 'k3s']) {
    assert.match(before.by(name).what, /^does not name the mirror: \/etc\//);
    assert.match(before.by(name).advice ?? '', /^layerlan setup \w+ shows/);
  }
  assert.match(before.by('containerd').what, /need not where it serves Docker alone/);
  mkdirSync(join(root, 'etc/docker'), { recursive: true });
  writeFileSync(join(root, 'etc/docker/daemon.json'), '{');
  const broken = (await ask()).by('dockerd');
  assert.deepEqual([broken.state, /is not JSON/.test(broken.what)], ['warn', true]);
  rmSync(join(root, 'usr/bin/dockerd'));
  await command('setup', 'containerd', '--write', '--root', root, '--config', config, '--registry', 'docker.io');
  const two = ['--set', 'registries["ghcr.io"].endpoints=http://127.0.0.1:1'];
  assert.match((await ask(...two)).by('containerd').what, /^in part: not as it should be: \S+ghcr\.io\/hosts\.toml$/);
  assert.match((await ask()).by('containerd').what, /^its configuration names the mirror; for CRI/);
});

test('a container', async (t) => {
  const { root, ask } = host(t);
  writeFileSync(join(root, '.dockerenv'), '');
  assert.match((await ask()).by('container').what, /this is a container \(\/\.dockerenv\)/);
  assert.equal((await ask('--set', 'mirror.listen=0.0.0.0:1')).by('container').state, 'ok');
});
