import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CLIENTS } from '../../../../agent/cli/setup/plan.ts';
import { command } from '../support.ts';

/** A host's files, and `setup` on them. */
function host(t: TestContext, files: Readonly<Record<string, string | Uint8Array>> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'layerlan-setup-'));
  t.after(() => rmSync(root, { recursive: true }));
  const put = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  for (const [path, content] of Object.entries(files)) put(path, content);
  // A configuration of its own: no file of this machine may decide a test.
  const config = join(root, 'layerlan.yaml');
  writeFileSync(config, '');
  return {
    root,
    put,
    read: (path: string) => readFileSync(join(root, path), 'utf8'),
    names: (path: string) => (existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : []),
    setup: (client: string, ...options: string[]) =>
      command('setup', client, '--root', root, '--config', config, ...options),
  };
}

const DAEMON = '/etc/docker/daemon.json';
const HOSTS = '/etc/containerd/certs.d/docker.io/hosts.toml';

test('without --write the files are shown and nothing is touched', async (t) => {
  const { setup, names, root } = host(t);
  const { exit, out, err } = await setup('docker', '--client-version', '29.1.0', '--registry', 'docker.io');
  assert.deepEqual({ exit, err }, { exit: 0, err: '' });
  assert.match(
    out,
    /^# \/etc\/docker\/daemon\.json: new\n\{\n {2}"registry-mirrors": \["http:\/\/127\.0\.0\.1:5055"\]\n\}\n\n# /,
  );
  assert.match(out, /^# \/etc\/docker\/certs\.d\/docker\.io\/hosts\.toml: new\nserver = /m);
  assert.match(out, /^Nothing was written\. --write does, with a backup\. It counts after: systemctl reload docker$/m);
  assert.deepEqual(names('/'), ['layerlan.yaml'], root);
});

test('a file is shown as it is laid out, and cannot drive a terminal', async (t) => {
  const { setup } = host(t, { [DAEMON]: '{\r\n\t"label": "\u001b[2J"\r\n}'.replace('\u001b', '\u009b') });
  const { out } = await setup('docker', '--registry', 'docker.io');
  assert.match(out, /^# \/etc\/docker\/daemon\.json: changed\n\{\n\t"label": "\?\[2J",\n\t"registry-mirrors": \[/);
});

test('the mirror and the registries are those of the configuration', async (t) => {
  const { setup } = host(t);
  const registry = 'registries["registry.lan:5000"].endpoints=http://registry.lan:5000';
  const { out } = await setup('containerd', '--set', 'mirror.listen=0.0.0.0:6000', '--set', registry);
  assert.match(out, /docker\.io\/hosts\.toml: new/);
  assert.match(out, /registry\.lan:5000\/hosts\.toml: new\nserver = "http:\/\/registry\.lan:5000"\n/);
  assert.match(out, /\[host\."http:\/\/127\.0\.0\.1:6000"\]/);
  const several = await setup('containerd', '--set', 'mirror.listen=[172.17.0.1:6000, "[::1]:6001"]');
  assert.match(several.out, /\[host\."http:\/\/\[::1\]:6001"\]/);
  const beyond = await setup('containerd', '--set', 'mirror.listen=[172.17.0.1:6000, 172.18.0.1:6000]');
  assert.match(beyond.out, /\[host\."http:\/\/172\.17\.0\.1:6000"\]/);
  const hub = await setup('containerd', '--registry', 'index.docker.io');
  assert.match(hub.out, /^# .*\/docker\.io\/hosts\.toml: new\nserver = "https:\/\/registry-1\.docker\.io"$/m);
  const chosen = await setup('containerd', '--registry', 'Quay.io', '--registry', 'quay.io');
  assert.deepEqual(chosen.out.match(/^# .*: new$/gm), ['# /etc/containerd/certs.d/quay.io/hosts.toml: new']);
});

test('what is given wrongly is one line and exit code 2', async (t) => {
  const { setup } = host(t);
  for (const [client, ...options] of [
    ['rkt'],
    ['docker', '--registry', '../x'],
    ['docker', '--client-version', 'new'],
    ['docker', '--write', '--undo'],
    ['docker', '--set', 'mirror.listen=127.0.0.1:0'],
  ]) {
    const { exit, out, err } = await setup(client!, ...options);
    assert.deepEqual({ exit, out }, { exit: 2, out: '' }, client + options.join());
    assert.match(err, /^layerlan: [^\n]+\n$/);
  }
});

for (const client of CLIENTS) {
  test(`${client}: what --write made from nothing is right the second time, and --undo removes it`, async (t) => {
    const { setup, root } = host(t);
    const written = await setup(client, '--write', '--client-version', '29');
    assert.equal(written.exit, 0, written.err);
    assert.match(written.out, /: new\n/);
    assert.match(written.out, new RegExp(`^To take this back: layerlan setup ${client} --undo --root ${root}\\.`, 'm'));
    const again = await setup(client, '--write', '--client-version', '29');
    assert.match(again.out, /^Nothing had to be written\.$/m);
    const undone = await setup(client, '--undo');
    assert.match(undone.out, /: removed\n/);
    const left = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.deepEqual(
      left.map(({ name }) => name),
      ['layerlan.yaml'],
    );
    const nothing = await setup(client, '--undo');
    assert.equal(nothing.exit, 1);
    assert.match(nothing.err, /^layerlan: there is nothing to undo: [^\n]+\n$/);
  });
}

test('a file keeps its mode and owner, and is as it was after --undo', async (t) => {
  const { setup, root, read, put, names } = host(t);
  const before = '{"log-level": "warn", "9": 1.50}\n';
  put(DAEMON, before);
  chmodSync(join(root, DAEMON), 0o640);
  if (process.getuid?.() === 0) chownSync(join(root, DAEMON), 12, 34);
  const rights = () => {
    const { mode, uid, gid } = statSync(join(root, DAEMON));
    return { mode, uid, gid };
  };
  const old = rights();
  const { out } = await setup('docker', '--write');
  assert.match(read(DAEMON), /"9": 1\.50, "registry-mirrors"/);
  assert.deepEqual(rights(), old);
  const [backup] = names('/etc/docker').filter((name) => name.endsWith('.before'));
  assert.ok(out.includes(`/etc/docker/${backup}`), out);
  assert.equal(read(`/etc/docker/${backup}`), before);
  assert.deepEqual(statSync(join(root, '/etc/docker', backup!)).mode, old.mode);
  assert.match((await setup('docker', '--undo')).out, /daemon\.json: is as it was$/m);
  assert.equal(read(DAEMON), before);
  assert.deepEqual(rights(), old);
  assert.deepEqual(names('/etc/docker'), ['daemon.json']);
});

test('runs are taken back one at a time, the last first', async (t) => {
  const { setup, names, read } = host(t, { [HOSTS]: 'server = "https://registry-1.docker.io"\n' });
  await setup('containerd', '--write', '--registry', 'docker.io');
  const first = read(HOSTS);
  await setup('containerd', '--write', '--registry', 'ghcr.io', '--registry', 'quay.io');
  assert.deepEqual(names('/etc/containerd/certs.d'), ['docker.io', 'ghcr.io', 'quay.io']);
  await setup('containerd', '--undo');
  // An empty directory would keep containerd from _default.
  assert.deepEqual(names('/etc/containerd/certs.d'), ['docker.io']);
  assert.equal(read(HOSTS), first);
  await setup('containerd', '--undo');
  assert.equal(read(HOSTS), 'server = "https://registry-1.docker.io"\n');
});

test('what was written after us is put aside by --undo, not lost', async (t) => {
  const { setup, put, read } = host(t, { [DAEMON]: '{}' });
  await setup('docker', '--write');
  put(DAEMON, '{"mine": 1}');
  const { exit, out } = await setup('docker', '--undo');
  assert.equal(exit, 0);
  const [, kept] = /it had been changed since, and that lies in (\S+)$/m.exec(out) ?? [];
  assert.equal(read(kept!), '{"mine": 1}');
  assert.equal(read(DAEMON), '{}');
});

test('a file that somebody removed after us comes back', async (t) => {
  const { setup, read, root } = host(t, { [DAEMON]: '{}' });
  await setup('docker', '--write');
  rmSync(join(root, DAEMON));
  assert.equal((await setup('docker', '--undo')).exit, 0);
  assert.equal(read(DAEMON), '{}');
});

test('what cannot be added to is told in one line and left alone', async (t) => {
  const cases: [content: string | Uint8Array, why: RegExp][] = [
    ['{ // no JSON\n}', /is not JSON/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /is not UTF-8/],
    ['x'.repeat(1024 * 1024 + 1), /too large/],
  ];
  for (const [content, why] of cases) {
    const { setup, root, names } = host(t, { [DAEMON]: content });
    const { exit, out, err } = await setup('docker', '--write');
    assert.deepEqual({ exit, out }, { exit: 1, out: '' });
    assert.match(err, /^layerlan: \/etc\/docker\/daemon\.json [^\n]+; it was not touched\n$/);
    assert.match(err, why);
    assert.deepEqual(readFileSync(join(root, DAEMON)), Buffer.from(content));
    assert.deepEqual(names('/etc/docker'), ['daemon.json']);
  }
});

test('a link or a directory in the place of the file is left alone', async (t) => {
  const { setup, root, put } = host(t);
  put('/elsewhere.json', '{}');
  mkdirSync(join(root, '/etc/docker'), { recursive: true });
  symlinkSync(join(root, '/elsewhere.json'), join(root, DAEMON));
  assert.match((await setup('docker', '--write')).err, /is a symbolic link/);
  rmSync(join(root, DAEMON));
  mkdirSync(join(root, DAEMON));
  assert.match((await setup('docker', '--write')).err, /is not a file/);
});

test('where one file cannot be written, those before it are put back', async (t) => {
  const { setup, root, read, names } = host(t, { [DAEMON]: '{}' });
  // A file where a directory is needed: not even root can write below it.
  mkdirSync(join(root, '/etc/docker/certs.d'), { recursive: true });
  writeFileSync(join(root, '/etc/docker/certs.d/quay.io'), '');
  const { exit, err } = await setup(
    'docker',
    '--write',
    '--client-version',
    '29',
    '--registry',
    'docker.io',
    '--registry',
    'quay.io',
  );
  assert.equal(exit, 1);
  assert.match(err, /^layerlan: \/etc\/docker\/certs\.d\/quay\.io\/hosts\.toml cannot be written: \w+\n$/);
  assert.equal(read(DAEMON), '{}');
  assert.deepEqual(names('/etc/docker'), ['certs.d', 'daemon.json']);
  assert.deepEqual(names('/etc/docker/certs.d'), ['quay.io']);
});

test('secrets that stand in a file are written, and not shown', async (t) => {
  const secrets = ['hunter2', 's3cret', 'dXNlcjpwYXNz', 'block9', 'proxypw'];
  const { setup, read, root } = host(t, {
    '/etc/rancher/k3s/registries.yaml':
      'configs:\n  a:\n    auth:\n      username: u\n      password: hunter2 s3cret\n  b:\n    auth: {username: u, "password": "s3cret"}\n  c:\n    auth:\n      auth: dXNlcjpwYXNz\n      password: |\n        block9\n',
    [DAEMON]: '{"proxies": {"http-proxy": "http://u:proxypw@proxy:3128"}}',
    [HOSTS]: '[host."https://m".header]\n  authorization = ["Basic dXNlcjpwYXNz"]\n',
  });
  for (const client of ['k3s', 'docker', 'containerd']) {
    const { out } = await setup(client);
    assert.match(out, /\(hidden\)/, client);
    for (const secret of secrets) assert.ok(!out.includes(secret), `${client} shows ${secret}`);
    assert.equal((await setup(client, '--write')).exit, 0);
  }
  const all = ['/etc/rancher/k3s/registries.yaml', DAEMON, HOSTS].map(read).join(root);
  for (const secret of secrets) assert.ok(all.includes(secret), secret);
});
