import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { type Home, homeOf } from '../agent/upstream/credentials/fixture.ts';
import { connected, type Host, startHost } from '../support/host.ts';
import { basicDoor, type Door, ghcrDoor, hubDoor, identityDoor } from '../support/upstream-doors.ts';
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

/** Everything that a host says: its log at the lowest level, its status, its metrics, and what it answers. */
interface Said {
  readonly lines: string[];
  readonly host: Host;
}

async function hostOf(registry: UpstreamRegistry, credentials: unknown): Promise<Said> {
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  const host = await startHost({
    address: `127.0.0.${hosts.length + 2}`,
    upstream: registry.url,
    peers: hosts.flatMap(({ agent }) => agent.peerAddresses),
    logger,
    config: { registries: { 'docker.io': { endpoints: [registry.url], credentials } } },
  });
  hosts.push(host);
  return { lines, host };
}

async function everythingSaid({ lines, host }: Said): Promise<string> {
  const answers = await Promise.all(
    ['/status', '/metrics'].map(async (path) => (await fetch(`${host.mirror}${path}`)).text()),
  );
  return [...lines, ...answers].join('\n');
}

/** A secret as it may leak: as it is, in base64 at each of three offsets, and in a URL. */
function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${'x'.repeat(offset)}${secret}`).toString('base64');
    // Without what depends on its neighbours.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  return [secret, ...base64, ...base64.map((text) => encodeURIComponent(text)), encodeURIComponent(secret)];
}

/** Characters that look different in a URL and in base64. */
const canary = () => `c4n/ry+${randomBytes(18).toString('hex')}=?&`;

interface Case {
  readonly name: string;
  door(secret: string): Door;
  /** Lays the secret down. @returns the configuration */
  lay(home: Home, registry: UpstreamRegistry, secret: string): Promise<unknown>;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

const cases: Case[] = [
  {
    name: 'a password in Docker’s configuration',
    door: (password) => hubDoor({ username: 'me', password }),
    async lay(home, { host }, secret) {
      await home.file('.docker/config.json', { auths: { [host]: { auth: base64(`me:${secret}`) } } });
      return 'docker-config';
    },
  },
  {
    name: 'an identity token',
    door: identityDoor,
    async lay(home, { host }, identitytoken) {
      await home.file('.docker/config.json', { auths: { [host]: { identitytoken } } });
      return 'docker-config';
    },
  },
  {
    name: 'a helper',
    door: (password) => ghcrDoor({ username: 'me', password }),
    async lay(home, _, secret) {
      await home.file('.docker/config.json', { credsStore: 'canary' });
      await home.file('answer', { Username: 'me', Secret: secret });
      await home.helper('canary', `cat "${home.path}/answer"; cat "${home.path}/answer" >&2`);
      return 'docker-config';
    },
  },
  {
    name: 'podman’s file',
    door: (password) => basicDoor({ username: 'me', password }),
    async lay(home, { host }, secret) {
      await home.file('run/containers/auth.json', { auths: { [host]: { auth: base64(`me:${secret}`) } } });
      return 'podman-auth';
    },
  },
  {
    name: 'a file of its own',
    door: (password) => hubDoor({ username: 'me', password }),
    lay: async (home, _, secret) => ({ username: 'me', passwordFile: await home.file('password', secret) }),
  },
  {
    name: 'the environment',
    door: (password) => basicDoor({ username: 'me', password }),
    async lay(_, __, secret) {
      process.env.LAYERLAN_TEST_CANARY = secret;
      return { username: 'me', passwordEnv: 'LAYERLAN_TEST_CANARY' };
    },
  },
];

/** Puts the process's surroundings at a test's home, as those of an agent that was started there. */
function live(context: { after(fn: () => void): void }, home: Home): void {
  const before = { ...process.env };
  Object.assign(process.env, home.env, { DOCKER_CONFIG: `${home.path}/.docker` });
  context.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });
}

for (const { name, door, lay } of cases) {
  test(`no secret is said, whether the pull succeeds or fails: ${name}`, async (context) => {
    const home = await homeOf(context);
    live(context, home);
    const secret = canary();
    const registry = await registryWith(door(secret));
    const image = registry.addImage('group/app', { layers: [MIB + 5] });
    registry.misbehave({ kind: 'break', after: 1000, times: 1 });
    const said = await hostOf(registry, await lay(home, registry, secret));
    assert.ok((await said.host.pull('group/app', 'latest')).matches);

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
    for (const form of [secret, wrong, ...tokens].flatMap(formsOf)) {
      assert.ok(!text.includes(form), `said: …${text.slice(Math.max(0, text.indexOf(form) - 200)).slice(0, 400)}`);
    }
  });
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
