import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigSource, loadConfig } from '../../../agent/config/load.ts';
import type { Surroundings } from '../../../agent/config/surroundings.ts';
import { AgentError, type ErrorCode } from '../../../agent/errors.ts';

const DEFAULT_TAGS = { fresh: [{ pattern: '*', time: 60_000 }], immutable: [], fromPeers: 'never', trust: [] };
const user: Surroundings = { isRoot: false, home: '/home/user', cwd: '/work-dir', env: {} };

/** What holds for a registry of which nothing is said. */
const OPEN = { credentials: null, ca: null, allow: ['*'], deny: [], tags: DEFAULT_TAGS, share: 'public' };

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'layerlan-config-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function fileWith(t: TestContext, text: string): string {
  const path = join(folder(t), 'layerlan.yaml');
  writeFileSync(path, text);
  return path;
}

function refusalOf(source: ConfigSource, code: ErrorCode = 'CONFIG_INVALID', around = user): string {
  try {
    loadConfig(source, around);
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code);
    assert.doesNotMatch(error.message, /\n/, 'one line');
    return error.message;
  }
  assert.fail(`accepted: ${JSON.stringify(source)}`);
}

test('the defaults, without any file', () => {
  assert.deepEqual(loadConfig({}, user), {
    mirror: { listen: ['127.0.0.1:5055'], allowedHosts: [] },
    metrics: { listen: null },
    store: {
      path: '/home/user/.local/state/layerlan',
      recheck: 86_400_000,
      also: [],
      maxSize: null,
      minFree: 2 * 1024 ** 3,
      keep: ['*'],
      skip: [],
    },
    peers: {
      listen: ['/ip4/0.0.0.0/tcp/4055'],
      bulk: { listen: ['/ip4/0.0.0.0/tcp/4056'] },
      accept: 'private',
      mdns: true,
      static: [],
      networkKeyFile: null,
      lookupTimeout: 100,
      leaseTimeout: 250,
      stallTimeout: 5_000,
    },
    release: { holdFor: 60_000 },
    limits: { peerUpload: [], peerDownload: [], upstream: [] },
    upstream: { proxy: null },
    registries: new Map([
      ['docker.io', { ...OPEN, endpoints: ['https://registry-1.docker.io'] }],
      ['*', { ...OPEN, endpoints: [] }],
    ]),
  });
});

test('no two configurations share a list', () => {
  loadConfig({}, user).peers.static.push('x');
  loadConfig({}, user).registries.get('docker.io')!.endpoints.push('x');
  loadConfig({}, user).registries.get('docker.io')!.allow.push('x');
  loadConfig({}, user).registries.get('*')!.deny.push('x');
  assert.deepEqual(loadConfig({}, user).peers.static, []);
  const registries = loadConfig({}, user).registries;
  assert.equal(registries.get('docker.io')!.endpoints.length, 1);
  assert.deepEqual(registries.get('docker.io')!.allow, ['*']);
  assert.deepEqual(registries.get('*')!.deny, []);
});

test('where things lie: as root, by XDG, from home', () => {
  assert.equal(loadConfig({ set: [] }, { ...user, env: { XDG_STATE_HOME: '/s' } }).store.path, '/s/layerlan');
  assert.equal(
    loadConfig({}, { ...user, env: { XDG_STATE_HOME: 'relative' } }).store.path,
    '/home/user/.local/state/layerlan',
  );
  assert.equal(loadConfig({ set: ['store.path=data'] }, user).store.path, '/work-dir/data');
  assert.equal(loadConfig({ set: ['store.path=~/data'] }, user).store.path, '/home/user/data');
});

test('the default file is read where there is one', (t) => {
  const home = folder(t);
  const around = { ...user, env: { XDG_CONFIG_HOME: home } };
  assert.equal(loadConfig({}, around).peers.mdns, true);
  mkdirSync(join(home, 'layerlan'));
  writeFileSync(join(home, 'layerlan', 'layerlan.yaml'), 'peers: {mdns: false}\n');
  assert.equal(loadConfig({}, around).peers.mdns, false);
});

test('a file, and what is set on the command line over it', (t) => {
  const file = fileWith(
    t,
    `
mirror:
  listen: ["127.0.0.1:0", "[::1]:5055"]
store:
  # nothing set here
peers:
  listen: /ip4/127.0.0.2/tcp/0
  static: [/dns4/peer.lan/tcp/4055, /ip4/10.0.0.2/tcp/4055/p2p/12D3KooWGmCiQCBd4jKpPSGcTKgFXLdhAkQbPZWgJbDR9xVtbNWg]
  stallTimeout: 1.5s
registries:
  GHCR.io:
    endpoints: [http://127.0.0.1:5000/, https://ghcr.io]
`,
  );
  const config = loadConfig(
    {
      file,
      set: [
        'mirror.listen=127.0.0.1:6000',
        'peers.static=[]',
        'peers.static=[/ip4/10.0.0.3/tcp/4055]',
        'registries["registry.lan:5000"].endpoints=http://10.0.0.9:5000',
        'release.holdFor=0s',
        'peers.networkKeyFile=key',
      ],
    },
    user,
  );
  assert.deepEqual(config.mirror.listen, ['127.0.0.1:6000']);
  assert.deepEqual(config.peers.listen, ['/ip4/127.0.0.2/tcp/0']);
  assert.deepEqual(config.peers.static, ['/ip4/10.0.0.3/tcp/4055']);
  assert.equal(config.peers.stallTimeout, 1_500);
  assert.equal(config.peers.networkKeyFile, '/work-dir/key');
  assert.equal(config.release.holdFor, 0);
  assert.equal(config.store.recheck, 86_400_000);
  assert.deepEqual(
    config.registries,
    new Map([
      ['docker.io', { ...OPEN, endpoints: ['https://registry-1.docker.io'] }],
      ['ghcr.io', { ...OPEN, endpoints: ['http://127.0.0.1:5000', 'https://ghcr.io'] }],
      ['registry.lan:5000', { ...OPEN, endpoints: ['http://10.0.0.9:5000'] }],
      ['*', { ...OPEN, endpoints: [] }],
    ]),
  );
});

test('names that the agent goes by, and where its figures are', () => {
  const set = ['mirror.allowedHosts=[Mirror.LAN, "[FD00::1]", "fd00::2", 192.0.2.7]', 'metrics.listen=0.0.0.0:9055'];
  const { mirror, metrics } = loadConfig({ set }, user);
  assert.deepEqual(mirror.allowedHosts, ['mirror.lan', 'fd00::1', 'fd00::2', '192.0.2.7']);
  assert.deepEqual(metrics.listen, ['0.0.0.0:9055']);
  assert.equal(loadConfig({ set: ['metrics.listen=null'] }, user).metrics.listen, null);
});

test('registries can be set as a whole, and then docker.io is still where it was unless listed', () => {
  const set = ['registries={quay.io: {endpoints: [https://quay.io]}}'];
  assert.deepEqual([...loadConfig({ set }, user).registries.keys()], ['docker.io', 'quay.io', '*']);
  const own = ['registries={docker.io: {endpoints: [http://127.0.0.1:5000]}}'];
  assert.deepEqual(loadConfig({ set: own }, user).registries.get('docker.io')?.endpoints, ['http://127.0.0.1:5000']);
  assert.ok(!loadConfig({}, user).registries.has('constructor'));
});

test('an unknown key is named with its file and line, and with what was meant', (t) => {
  const file = fileWith(t, '# a comment\npeers:\n  mdns: true\n  stalTimeout: 5s\n');
  assert.equal(
    refusalOf({ file }),
    `${file}:4: peers.stalTimeout is not a key of the configuration; did you mean peers.stallTimeout?`,
  );
  const section = fileWith(t, 'peer: {}\n');
  assert.match(refusalOf({ file: section }), /:1: peer is not a key of the configuration; did you mean peers\?$/);
  assert.match(
    refusalOf({ set: ['peers.colour=red'] }),
    /^--set: peers\.colour is not a key .* known are listen, bulk, accept, mdns, static/,
  );
  assert.match(
    refusalOf({ set: ['registries["a.io"].endpoint=x'] }),
    /did you mean registries\["a\.io"\]\.endpoints\?$/,
  );
  assert.match(
    refusalOf({ set: ['registries.docker.io.deny=[a/b]'] }),
    /^--set: registries\.docker\.io is not a key .*; a name with a dot stands in brackets: registries\["ghcr\.io"\]\.$/,
  );
  assert.match(refusalOf({ set: ['__proto__.polluted=1'] }), /__proto__ is not a key/);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('a wrong value is named with its key and its line', (t) => {
  const file = fileWith(
    t,
    'store:\n  path: /x\npeers:\n  static:\n    - /ip4/10.0.0.1/tcp/4055\n    - 10.0.0.1:4055\n',
  );
  assert.match(refusalOf({ file }), /layerlan\.yaml:6: peers\.static\[1\] is not a multiaddr/);
  const wrong: [set: string, message: RegExp][] = [
    ['mirror.listen=5055', /mirror\.listen\[0\] must be a host:port/],
    ['mirror.listen=[]', /mirror\.listen must hold at least one/],
    ['mirror.listen=["127.0.0.1:99999"]', /must be a host:port/],
    ['mirror.allowedHosts=mirror.lan', /mirror\.allowedHosts must be a list of host names/],
    ['mirror.allowedHosts=["mirror.lan:5055"]', /allowedHosts\[0\] must be a host name without a port/],
    ['mirror.allowedHosts=["http://mirror.lan"]', /must be a host name without a port/],
    ['mirror.allowedHosts=[5]', /must be a host name without a port/],
    ['metrics.listen=9090', /metrics\.listen\[0\] must be a host:port/],
    ['metrics.listen=[]', /metrics\.listen must hold at least one/],
    ['peers.accept=all', /peers\.accept must be private or any/],
    ['store.path=5', /store\.path must be a path/],
    ['store.path=""', /store\.path must be a path/],
    ['store.recheck=24', /store\.recheck must be a duration with its unit/],
    ['peers.stallTimeout=0s', /must be at least 100ms/],
    ['peers.lookupTimeout=-5ms', /must be a duration/],
    ['peers.lookupTimeout=9d', /must be at most 1d/],
    ['peers.mdns="yes"', /peers\.mdns must be true or false/],
    ['peers.static=/ip4/10.0.0.1/tcp/4055', /peers\.static must be a list of multiaddrs/],
    ['peers.listen=/ip4/0.0.0.0/udp/4055', /must be over tcp/],
    ['peers.listen=/ip4/0.0.0.0/tcp/99999', /is not a multiaddr/],
    ['peers.listen=/ip4/0.0.0.0/tcp/4055/ws', /must end after the port/],
    ['peers.networkKeyFile=false', /networkKeyFile must be a path/],
    ['peers=5', /peers must be a map of keys/],
    ['registries=[a]', /registries must be a map/],
    ['registries={"a b": {endpoints: [http://x]}}', /registries\["a b"\] must be a registry’s host name/],
    ['registries={a.io: {endpoints: []}}', /registries\["a\.io"\]\.endpoints must hold at least one/],
    ['registries={a.io: {endpoints: [ftp://x]}}', /must be an https:\/\/ or http:\/\/ URL/],
    ['registries={a.io: {endpoints: [https://x/v2]}}', /a scheme, a host and a port, nothing more/],
    ['registries={a.io: {endpoints: ["https://x?y"]}}', /nothing more/],
  ];
  for (const [set, message] of wrong) {
    const text = refusalOf({ set: [set] });
    assert.match(text, message, set);
    assert.match(text, /^--set: /);
  }
  const secret = refusalOf({ set: ['registries={a.io: {endpoints: ["https://user:hunter2@x"]}}'] });
  assert.match(secret, /must not hold a user or a password/);
  assert.doesNotMatch(secret, /hunter2/);
});

test('what is not key.path=value is not repeated: it may hold a password', () => {
  for (const set of ['upstream.proxy http://u:hunter2@x', 'upstream.proxy:http://u:hunter2@x', 'a b=hunter2']) {
    assert.doesNotMatch(refusalOf({ set: [set] }), /hunter2/);
  }
});

test('what is not key.path=value', () => {
  for (const set of ['', '=', 'mirror', 'mirror.=x', '.mirror=x', 'a..b=x', 'a[b=x', 'a]=x', 'mirror listen=x']) {
    assert.match(refusalOf({ set: [set] }), /it must be key\.path=value/, set);
  }
  assert.match(refusalOf({ set: ['peers.static=[a'] }), /the value is not YAML/);
});

test('files that cannot be read, and files that are not YAML', (t) => {
  const path = folder(t);
  assert.match(refusalOf({ file: join(path, 'none.yaml') }, 'CONFIG_UNREADABLE'), /none\.yaml .* no such file/);
  assert.match(refusalOf({ file: path }, 'CONFIG_UNREADABLE'), /it is a directory/);
  assert.match(refusalOf({ file: '/dev/zero' }, 'CONFIG_UNREADABLE'), /too large/);
  assert.match(refusalOf({ file: fileWith(t, 'peers:\n  mdns: true\n  mdns: false\n') }), /yaml:3: .*unique/);
  assert.match(refusalOf({ file: fileWith(t, 'peers: [\n') }), /yaml:[12]: /);
  assert.match(refusalOf({ file: fileWith(t, '- a\n') }), /the configuration must be a map of sections/);
  assert.equal(loadConfig({ file: fileWith(t, '# nothing\n') }, user).peers.mdns, true);
});
