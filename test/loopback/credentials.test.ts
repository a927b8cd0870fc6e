import assert from 'node:assert/strict';
import { basename, join, relative } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type Home, homeOf } from '../agent/upstream/credentials/fixture.ts';
import { connected, type Host, until } from '../support/host.ts';
import { KINDS_OF_CREDENTIALS } from '../support/kinds-of-credentials.ts';
import { assertNotSaid, assertNotStored, everythingSaid, type Said, startTalkative } from '../support/said.ts';
import { canary, filesWith, formsOf } from '../support/secrets.ts';
import { type Door, hubDoor } from '../support/upstream-doors.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;

let hosts: Host[];
let registries: UpstreamRegistry[];

beforeEach(() => {
  hosts = [];
  registries = [];
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await Promise.all(registries.map((registry) => registry.close()));
});

async function registryWith(door: Door): Promise<UpstreamRegistry> {
  const manifestHeaders = { 'ratelimit-limit': '200;w=21600', 'ratelimit-remaining': '199;w=21600' };
  const registry = await startUpstreamRegistry({ door, manifestHeaders });
  registries.push(registry);
  return registry;
}

async function hostOf(registry: UpstreamRegistry, credentials: unknown): Promise<Said> {
  const said = await startTalkative({
    address: `127.0.0.${hosts.length + 2}`,
    upstream: registry.url,
    peers: hosts.flatMap(({ agent }) => agent.peerAddresses),
    config: { registries: { 'docker.io': { endpoints: [registry.url], credentials } } },
  });
  hosts.push(said.host);
  return said;
}

/** Puts the process's surroundings at a test's home, as those of an agent that was started there. */
function live(context: { after(fn: () => void): void }, home: Home): void {
  const before = { ...process.env };
  Object.assign(process.env, home.env, { DOCKER_CONFIG: `${home.path}/.docker` });
  context.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });
}

for (const { name, door, lay } of KINDS_OF_CREDENTIALS) {
  test(`no secret is said or stored, whether the pull succeeds or fails: ${name}`, async (context) => {
    const home = await homeOf(context);
    live(context, home);
    const secret = canary();
    const registry = await registryWith(door(secret));
    const image = registry.addImage('group/app', { layers: [MIB + 5] });
    registry.misbehave({ kind: 'break', after: 1000, times: 1 });
    const said = await hostOf(registry, await lay(home, registry, secret));
    assert.ok((await said.host.pull('group/app', 'latest')).matches);
    const store = join(said.host.directory, 'store');
    const leave = await leavePartial(registry, said.host);

    const wrong = canary();
    const strict = await registryWith(door(canary()));
    strict.addImage('group/app', { layers: [MIB] });
    const refused = await hostOf(strict, await lay(home, strict, wrong));
    const answer = await fetch(`${refused.host.mirror}/v2/group/app/manifests/latest`);
    const body = await answer.text();
    assert.equal(answer.status, 403, body);
    assert.match(body, /refuse[sd] .*credentials configured for docker\.io/);

    const tokens = [registry, strict].flatMap(({ requests }) =>
      requests.flatMap(({ authorization }) => authorization?.replace(/^\S+ /, '') ?? []),
    );
    assert.ok(tokens.length > 0);
    const text = `${await everythingSaid(said)}\n${await everythingSaid(refused)}\n${body}`;
    assert.ok(text.includes(image.manifest.digest) || text.includes(image.config.digest), 'something is said at all');
    const forms = [secret, wrong, ...tokens].flatMap(formsOf);
    assertNotSaid(text, forms);
    for (const { host } of [said, refused]) await assertNotStored(host, forms, formsOf(secret));
    const places = [...(await filesWith(store, ['']))].map((file) => relative(store, file).split(/[/-]/)[0]);
    for (const place of ['index.sqlite', 'swarm.sqlite', 'partials', 'blobs', 'identity.key']) {
      assert.ok(places.includes(place), `${place} was searched: ${places}`);
    }
    const named = await filesWith(store, ['group/app']);
    assert.ok(
      named.some((file) => basename(file).startsWith('index.sqlite')),
      'where a tag is written, it is found',
    );
    leave();
  });
}

/** A blob that is on its way, and gets no further. @returns what ends the pull */
async function leavePartial(registry: UpstreamRegistry, { mirror, directory }: Host): Promise<() => void> {
  registry.misbehave({ kind: 'stall', after: MIB + 1 });
  const { digest } = registry.addBlob('group/app', Buffer.alloc(2 * MIB, 1));
  const leaving = new AbortController();
  fetch(`${mirror}/v2/group/app/blobs/${digest}`, { signal: leaving.signal }).catch(() => {});
  const partials = join(directory, 'store', 'partials');
  await until('a partial lies in the store', async () => {
    const files = await filesWith(partials, ['']);
    return files.some((file) => file.endsWith('.journal'));
  });
  return () => leaving.abort();
}

test('a broken file of logins is named, and not quoted', async (context) => {
  const home = await homeOf(context);
  live(context, home);
  const secret = canary();
  const registry = await registryWith(hubDoor({ username: 'me', password: secret }));
  await home.file('.docker/config.json', `{"auths": {"${registry.host}": {"password": "${secret}"`);
  const said = await hostOf(registry, 'docker-config');
  const answer = await fetch(`${said.host.mirror}/v2/group/app/manifests/latest`);
  const text = `${await answer.text()}\n${await everythingSaid(said)}`;
  assert.match(text, /config\.json is not JSON/);
  for (const form of formsOf(secret)) assert.ok(!text.includes(form));
});

test('who has no credentials gets nothing of a private image from a peer that has, by any digest', async (context) => {
  const home = await homeOf(context);
  live(context, home);
  const registry = await registryWith(hubDoor({ username: 'me', password: 'pw' }));
  const image = registry.addImage('group/app', { layers: [3 * MIB, 1000] });
  const credentials = { username: 'me', passwordFile: await home.file('password', 'pw') };
  const first = await hostOf(registry, credentials);
  const second = await hostOf(registry, null);
  await connected(second.host, 1);
  assert.ok((await first.host.pull('group/app', 'latest')).matches);
  assert.ok((await first.host.pull('group/app', 'latest')).matches, 'the one that has them pulls it again');

  registry.forget();
  const paths = [
    ...[...image.layers, image.config].map(({ digest }) => `blobs/${digest}`),
    `manifests/${image.manifest.digest}`,
  ];
  for (const path of paths) {
    const answer = await fetch(`${second.host.mirror}/v2/group/app/${path}`);
    assert.equal(answer.status, 403, path);
    await answer.arrayBuffer();
  }
  await registry.refuse();
  for (const path of paths) {
    const answer = await fetch(`${second.host.mirror}/v2/group/app/${path}`);
    assert.ok(answer.status >= 500, `${path}: ${answer.status}`);
    await answer.arrayBuffer();
  }
  const { traffic } = await first.host.agent.status();
  assert.equal(traffic.servedBytes, 0);
  const [peer] = (await second.host.agent.status()).peers;
  assert.equal(peer?.blobs, 0, 'it was not even told of it');
});

test('what a registry says of its limits is in the status', async () => {
  const registry = await registryWith(hubDoor({ username: 'me', password: 'pw' }));
  registry.addImage('library/app', { layers: [1000] });
  const { host } = await hostOf(registry, null);
  assert.ok((await host.pull('library/app', 'latest')).matches);
  const { rateLimits } = await host.agent.status();
  assert.deepEqual(rateLimits, [{ registry: 'docker.io', limit: 200, remaining: 199, window: 21_600 }]);
});

test('a right to a repository that was refused counts as soon as it is granted', async (context) => {
  const home = await homeOf(context);
  live(context, home);
  const hub = hubDoor({ username: 'me', password: 'pw' });
  let refused = 0;
  let isGranted = false;
  const door: Door = {
    ...hub,
    enter: (request) => {
      if (isGranted) return hub.enter(request);
      refused++;
      return 403;
    },
  };
  const registry = await registryWith(door);
  registry.addImage('group/app', { layers: [1000] });
  const credentials = { username: 'me', passwordFile: await home.file('password', 'pw') };
  const { host } = await hostOf(registry, credentials);
  const status = async () => {
    const answer = await fetch(`${host.mirror}/v2/group/app/manifests/latest`);
    await answer.arrayBuffer();
    return answer.status;
  };
  await until('it is refused a third time, and told each time', async () => {
    assert.equal(await status(), 403);
    return refused >= 3;
  });
  isGranted = true;
  await until('it is let in', async () => (await status()) === 200, 10_000);
});
