import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isChanged, type Plan } from '../../../../agent/cli/setup/plan.ts';
import { planFor } from '../../../../agent/cli/setup/plans.ts';
import { contents, HUB, memoryTree, WANTED } from './support.ts';

/** The same plan once more, on a tree in which it was done. */
function again(plan: Plan, client: Parameters<typeof planFor>[0], wanted = WANTED): Plan {
  return planFor(client, wanted, memoryTree(contents(plan)));
}

const refuses = (path: string, why: RegExp) => (error: Error) => {
  assert.ok(error.message.startsWith(`${path} `), error.message);
  assert.match(error.message, why);
  assert.doesNotMatch(error.message, /\n/);
  return 'code' in error && error.code === 'SETUP_REFUSED';
};

const HUB_HOSTS =
  'server = "https://registry-1.docker.io"\n\n[host."http://127.0.0.1:5055"]\n  capabilities = ["pull", "resolve"]\n';

test('docker: daemon.json alone before 28, hosts.toml beside it from then on', () => {
  const old = planFor('docker', { ...WANTED, version: 20 }, memoryTree());
  assert.deepEqual(Object.keys(contents(old)), ['/etc/docker/daemon.json']);
  assert.equal(old.restart, 'systemctl reload docker');
  assert.match(old.notes.join(), /before 28 mirrors Docker Hub alone: ghcr\.io/);
  assert.deepEqual(planFor('docker', { ...HUB, version: 27 }, memoryTree()).notes, []);

  const unknown = planFor('docker', WANTED, memoryTree());
  assert.deepEqual(Object.keys(contents(unknown)), ['/etc/docker/daemon.json']);
  assert.match(unknown.notes.join(), /--client-version/);

  const recent = planFor('docker', { ...WANTED, version: 28 }, memoryTree());
  assert.deepEqual(Object.keys(contents(recent)), [
    '/etc/docker/daemon.json',
    '/etc/docker/certs.d/docker.io/hosts.toml',
    '/etc/docker/certs.d/ghcr.io/hosts.toml',
  ]);
  assert.equal(contents(recent)['/etc/docker/certs.d/docker.io/hosts.toml'], HUB_HOSTS);
  const done = again(recent, 'docker', { ...WANTED, version: 28 });
  assert.ok(!done.files.some(isChanged));
  assert.equal(done.restart, undefined);
});

test('docker: without Docker Hub its daemon.json is left alone', () => {
  const wanted = { ...WANTED, registries: WANTED.registries.slice(1) };
  assert.deepEqual(planFor('docker', { ...wanted, version: 27 }, memoryTree()).files, []);
  assert.deepEqual(Object.keys(contents(planFor('docker', { ...wanted, version: 29 }, memoryTree()))), [
    '/etc/docker/certs.d/ghcr.io/hosts.toml',
  ]);
});

test('containerd: a hosts.toml for each registry', () => {
  const plan = planFor('containerd', WANTED, memoryTree());
  assert.deepEqual(contents(plan), {
    '/etc/containerd/certs.d/docker.io/hosts.toml': HUB_HOSTS,
    '/etc/containerd/certs.d/ghcr.io/hosts.toml': HUB_HOSTS.replace('registry-1.docker.io', 'ghcr.io'),
  });
  assert.ok(!again(plan, 'containerd').files.some(isChanged));
});

test('containerd: our host comes before those that are there, whose every line stays', () => {
  const path = '/etc/containerd/certs.d/docker.io/hosts.toml';
  const before =
    '# ours\nserver = "https://a" # x\nca = [\n  "b"\n]\n\n# the old mirror\n[host."https://m"]\n  capabilities = ["pull"]\n';
  const [file] = planFor('containerd', HUB, memoryTree({ [path]: before })).files;
  assert.equal(
    file!.content,
    '# ours\nserver = "https://a" # x\nca = [\n  "b"\n]\n\n[host."http://127.0.0.1:5055"]\n  capabilities = ["pull", "resolve"]\n\n# the old mirror\n[host."https://m"]\n  capabilities = ["pull"]\n',
  );
  assert.equal(planFor('containerd', HUB, memoryTree({ [path]: file!.content })).files[0]!.content, file!.content);
  // What an operator said of our host stands.
  const own = '[host."http://127.0.0.1:5055"]\n  capabilities = ["pull"]\n';
  assert.equal(planFor('containerd', HUB, memoryTree({ [path]: own })).files[0]!.content, own);
  const bare = planFor('containerd', HUB, memoryTree({ [path]: 'server = "https://a"\n' })).files[0]!;
  assert.match(bare.content, /^server = "https:\/\/a"\n\n\[host/);
});

test('containerd: what cannot be added to is refused with what to write by hand', () => {
  const path = '/etc/containerd/certs.d/docker.io/hosts.toml';
  const plan = (files: Record<string, string>) => () => planFor('containerd', HUB, memoryTree(files));
  assert.throws(plan({ [path]: 'server = ' }), refuses(path, /is not TOML \(/));
  const inline = 'host = { "https://m" = { capabilities = ["pull"] } }\n';
  assert.throws(plan({ [path]: inline }), refuses(path, /by hand: \[host\."http:\/\/127\.0\.0\.1:5055"\]/));
  const misleading = 'server = """\n[x]\n"""\n[host."https://m"]\n';
  assert.throws(plan({ [path]: misleading }), refuses(path, /by hand/));
  const folder = '/etc/containerd/certs.d/docker.io';
  assert.throws(plan({ [`${folder}/ca.crt`]: 'x' }), refuses(folder, /holds certificates/));
});

test('containerd: _default for all registries is not put out of action', () => {
  const path = '/etc/containerd/certs.d/_default/hosts.toml';
  const other = '[host."https://m"]\n';
  assert.throws(() => planFor('containerd', WANTED, memoryTree({ [path]: other })), refuses(path, /by hand/));
  const ours = '[host."http://127.0.0.1:5055"]\n  capabilities = ["pull", "resolve"]\n';
  const plan = planFor('containerd', WANTED, memoryTree({ [path]: ours }));
  assert.deepEqual(contents(plan), { [path]: ours });
  assert.ok(!plan.files.some(isChanged));
});

test('containerd: says what CRI needs in config.toml, until it is there', () => {
  const config = '/etc/containerd/config.toml';
  const notes = (text?: string) =>
    planFor('containerd', HUB, memoryTree(text === undefined ? {} : { [config]: text })).notes.join('\n');
  assert.match(notes(), /io\.containerd\.grpc\.v1\.cri.*\(containerd 1\) or .*io\.containerd\.cri\.v1\.images/);
  assert.match(
    notes('version = 2\n'),
    /config_path = "\/etc\/containerd\/certs\.d" under \[plugins\."io\.containerd\.grpc\.v1\.cri"\.registry\] of/,
  );
  assert.match(notes('version = 3\n'), /under \[plugins\."io\.containerd\.cri\.v1\.images"\.registry\] of/);
  assert.match(notes('[plugins]\n'), /under \[plugins\.cri\.registry\] of/);
  const mirrors = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["x"]\n';
  assert.match(notes(mirrors), /remove registry\.mirrors/);
  for (const value of ['/etc/containerd/certs.d', '/etc/containerd/certs.d:/etc/docker/certs.d']) {
    assert.equal(
      notes(`version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '${value}'\n`),
      '',
    );
  }
});

const GHCR_ENTRY =
  '[[registry]]\nprefix = "ghcr.io"\nlocation = "ghcr.io"\n\n[[registry.mirror]]\nlocation = "127.0.0.1:5055/ghcr.io"\ninsecure = true\n';
const HUB_ENTRY = GHCR_ENTRY.replaceAll('ghcr.io', 'docker.io');
const DROP_IN = '/etc/containers/registries.conf.d/50-layerlan.conf';

test('podman: a drop-in file of our own, to which further registries are added', () => {
  const plan = planFor('podman', WANTED, memoryTree());
  assert.deepEqual(contents(plan), { [DROP_IN]: `${HUB_ENTRY}\n${GHCR_ENTRY}` });
  assert.ok(!again(plan, 'podman').files.some(isChanged));
  const more = planFor('podman', WANTED, memoryTree({ [DROP_IN]: `# kept\n${GHCR_ENTRY}` }));
  assert.deepEqual(contents(more), { [DROP_IN]: `# kept\n${GHCR_ENTRY}\n${HUB_ENTRY}` });
});

test('podman: an entry elsewhere is not replaced', () => {
  const main = '/etc/containers/registries.conf';
  const own = '[[registry]]\nlocation = "docker.io"\nblocked = false\n';
  const byHand = /by hand: \[\[registry\.mirror\]\] location = "127\.0\.0\.1:5055\/docker\.io" insecure = true/;
  for (const path of [main, '/etc/containers/registries.conf.d/99-mine.conf']) {
    assert.throws(() => planFor('podman', WANTED, memoryTree({ [path]: own })), refuses(path, byHand));
  }
  const pointed = memoryTree({ [main]: HUB_ENTRY });
  assert.deepEqual(contents(planFor('podman', WANTED, pointed)), { [DROP_IN]: GHCR_ENTRY });
  assert.deepEqual(planFor('podman', HUB, pointed).files, []);
  const ignored = memoryTree({ '/etc/containers/registries.conf.d/note.txt': 'no TOML [' });
  assert.equal(Object.keys(contents(planFor('podman', HUB, ignored))).length, 1);
});

test('podman: a user’s own files, and the system’s where the user has no registries.conf', () => {
  const home = '/home/ann';
  const path = `${home}/.config/containers/registries.conf.d/50-layerlan.conf`;
  const system = { '/etc/containers/registries.conf': '[[registry]]\nlocation = "docker.io"\n' };
  assert.deepEqual(contents(planFor('podman', { ...HUB, home }, memoryTree())), { [path]: HUB_ENTRY });
  assert.throws(
    () => planFor('podman', { ...HUB, home }, memoryTree(system)),
    refuses('/etc/containers/registries.conf', /./),
  );
  const own = { ...system, [`${home}/.config/containers/registries.conf`]: '' };
  assert.deepEqual(contents(planFor('podman', { ...HUB, home }, memoryTree(own))), { [path]: HUB_ENTRY });
});

const BUILDKITD = '/etc/buildkit/buildkitd.toml';

test('buildkit: tables that are not there are added', () => {
  const hub = '[registry."docker.io"]\n  mirrors = ["127.0.0.1:5055"]\n';
  const mirror = '[registry."127.0.0.1:5055"]\n  http = true\n';
  const plan = planFor('buildkit', HUB, memoryTree());
  assert.deepEqual(contents(plan), { [BUILDKITD]: `${hub}\n${mirror}` });
  assert.equal(plan.restart, 'systemctl restart buildkit');
  const done = again(plan, 'buildkit', HUB);
  assert.ok(!done.files.some(isChanged));
  assert.equal(done.restart, undefined);
  const before = '# mine\ndebug = true\n[worker.oci]\n  gc = true';
  const [file] = planFor('buildkit', HUB, memoryTree({ [BUILDKITD]: before })).files;
  assert.equal(file!.content, `${before}\n\n${hub}\n${mirror}`);
});

test('buildkit: a registry with a table of its own is the operator’s', () => {
  const plan = (text: string) => () => planFor('buildkit', HUB, memoryTree({ [BUILDKITD]: text }));
  for (const text of [
    '[registry."docker.io"]\n  mirrors = ["mirror.gcr.io"]\n',
    '[registry]\n  "docker.io" = { http = false }\n',
    'registry."docker.io".ca = []\n',
  ]) {
    assert.throws(plan(text), refuses(BUILDKITD, /by hand: mirrors = \["127\.0\.0\.1:5055"\]/));
  }
  assert.throws(plan('registry = { "quay.io" = { http = false } }\n'), refuses(BUILDKITD, /by hand: \[registry\./));
  assert.throws(plan('[registry."127.0.0.1:5055"]\n  insecure = true\n'), refuses(BUILDKITD, /http = true/));
  assert.throws(plan('registry ='), refuses(BUILDKITD, /is not TOML/));
});

const REGISTRIES = '/etc/rancher/k3s/registries.yaml';

test('k3s: endpoints are added and comments stay', () => {
  const plan = planFor('k3s', HUB, memoryTree());
  assert.deepEqual(contents(plan), {
    [REGISTRIES]: 'mirrors:\n  docker.io:\n    endpoint:\n      - http://127.0.0.1:5055\n',
  });
  assert.match(plan.restart ?? '', /^systemctl restart k3s/);
  assert.ok(!again(plan, 'k3s', HUB).files.some(isChanged));
  const before =
    '# all of ours\nmirrors:\n  docker.io: # Hub\n    endpoint:\n      - "https://m" # slow\n  quay.io:\nconfigs:\n  "m":\n    auth: {username: a, password: b}\n';
  const [file] = planFor('k3s', WANTED, memoryTree({ [REGISTRIES]: before })).files;
  assert.equal(
    file!.content,
    '# all of ours\nmirrors:\n  docker.io:\n    # Hub\n    endpoint:\n      - http://127.0.0.1:5055\n      - "https://m" # slow\n  quay.io:\n  ghcr.io:\n    endpoint:\n      - http://127.0.0.1:5055\nconfigs:\n  "m":\n    auth: { username: a, password: b }\n',
  );
  assert.equal(planFor('k3s', WANTED, memoryTree({ [REGISTRIES]: file!.content })).files[0]!.content, file!.content);
});

test('k3s: sections that are empty are filled', () => {
  for (const before of [
    '# nothing yet\n',
    'mirrors:\n',
    'mirrors:\n  docker.io:\n',
    'mirrors:\n  docker.io:\n    endpoint:\n',
    'mirrors: {docker.io: {rewrite: {a: b}}}\n',
  ]) {
    const [file] = planFor('k3s', HUB, memoryTree({ [REGISTRIES]: before })).files;
    assert.match(file!.content, /endpoint:\s*(- |\[ )http:\/\/127\.0\.0\.1:5055/, before);
    if (before.startsWith('#')) assert.match(file!.content, /^# nothing yet\n/);
  }
});

test('k3s: what cannot be added to is refused', () => {
  const plan = (text: string) => () => planFor('k3s', HUB, memoryTree({ [REGISTRIES]: text }));
  assert.throws(plan('mirrors: [\n'), refuses(REGISTRIES, /is not YAML/));
  assert.throws(plan('- a\n'), refuses(REGISTRIES, /is no map/));
  assert.throws(plan('mirrors: 5\n'), refuses(REGISTRIES, /mirrors that is no map/));
  assert.throws(plan('mirrors: {docker.io: {endpoint: x}}\n'), refuses(REGISTRIES, /no list/));
  assert.throws(plan('mirrors: {"*": {endpoint: [x]}}\n'), refuses(REGISTRIES, /mirror for "\*"/));
  const shared = 'mirrors:\n  quay.io: &m\n    endpoint: [x]\n  docker.io: *m\n';
  assert.throws(plan(shared), refuses(REGISTRIES, /by hand/));
});
