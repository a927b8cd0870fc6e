import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import { shareOf } from '../../../agent/config/registries.ts';
import { AgentError } from '../../../agent/errors.ts';

const TAGS = { fresh: [{ pattern: '*', time: 60_000 }], immutable: [], fromPeers: 'never', trust: [] };
const around = { isRoot: false, home: '/home/user', cwd: '/work-dir', env: {} };

function registriesOf(yaml: string) {
  return loadConfig({ set: [`registries=${yaml}`] }, around).registries;
}

function refusalOf(set: string): string {
  try {
    loadConfig({ set: [set] }, around);
  } catch (error) {
    assert.ok(error instanceof AgentError && error.code === 'CONFIG_INVALID', String(error));
    return error.message;
  }
  assert.fail(`accepted: ${set}`);
}

test('a registry that is listed without endpoints is at its own name, and docker.io where it always is', () => {
  const registries = registriesOf('{docker.io: {}, GHCR.io: {deny: [a/*]}, registry.lan:5000: null}');
  assert.deepEqual(registries.get('docker.io')?.endpoints, ['https://registry-1.docker.io']);
  assert.deepEqual(registries.get('ghcr.io'), {
    endpoints: ['https://ghcr.io'],
    credentials: null,
    ca: null,
    allow: ['*'],
    deny: ['a/*'],
    tags: TAGS,
    share: 'public',
  });
  assert.deepEqual(registries.get('registry.lan:5000')?.endpoints, ['https://registry.lan:5000']);
});

test('what holds for all others stands under *', () => {
  const others = registriesOf('{"*": {ca: company.pem, allow: [public/*]}}').get('*');
  assert.deepEqual(others, {
    endpoints: [],
    credentials: null,
    ca: '/work-dir/company.pem',
    allow: ['public/*'],
    deny: [],
    tags: TAGS,
    share: 'public',
  });
  assert.ok(registriesOf('{"*": null}').has('*'));
  assert.match(refusalOf('registries={"*": {endpoints: [https://x]}}'), /registries\["\*"\]\.endpoints is not a key/);
});

test('only what is listed: the others are not there, and docker.io is no exception', () => {
  assert.deepEqual([...registriesOf('{only: true, ghcr.io: {}}').keys()], ['ghcr.io']);
  assert.deepEqual([...registriesOf('{only: true, "*": {}, docker.io: }').keys()], ['docker.io']);
  assert.deepEqual([...registriesOf('{only: false, ghcr.io: {}}').keys()], ['docker.io', 'ghcr.io', '*']);
  assert.match(refusalOf('registries.only=true'), /^--set: registries\.only leaves no registry: list those/);
  assert.match(refusalOf('registries.only="yes"'), /registries\.only must be true or false/);
});

test('what of a registry peers may have: its own word, else that of all others; nothing of one that is not there', () => {
  const registries = registriesOf('{docker.io: {share: all}, ghcr.io: {}, "*": {share: none}}');
  const of = (name: string) => shareOf(registries, name);
  assert.deepEqual(['docker.io', 'ghcr.io', 'quay.io'].map(of), ['all', 'public', 'none']);
  assert.equal(shareOf(registriesOf('{only: true, ghcr.io: {}}'), 'quay.io'), 'none');
  assert.match(refusalOf('registries["ghcr.io"].share=some'), /share must be public, all or none/);
});

test('patterns and CA files that cannot be', () => {
  const wrong: [set: string, message: RegExp][] = [
    ['registries={a.io: {allow: library/*}}', /registries\["a\.io"\]\.allow must be a list of repository patterns/],
    ['registries={a.io: {deny: [Library/*]}}', /registries\["a\.io"\]\.deny\[0\] must be a repository pattern/],
    ['registries={a.io: {deny: ["app:latest"]}}', /without a tag/],
    ['registries={a.io: {deny: [""]}}', /must be a repository pattern/],
    ['registries={a.io: {ca: 5}}', /registries\["a\.io"\]\.ca must be a path/],
    [
      'registries={index.docker.io: {deny: [a/b]}}',
      /registries\["index\.docker\.io"\] is Docker Hub, which is docker\.io/,
    ],
    ['registries={Registry-1.docker.io: {}}', /is Docker Hub, which is docker\.io here\.$/],
    ['registries={a.io: {}, A.io: {deny: [b/*]}}', /registries\["A\.io"\] stands there twice/],
    ['registries={a.io:99999: {}}', /registries\["a\.io:99999"\] must be a registry’s host name/],
    ['registries={10.0.0.256: {}}', /registries\["10\.0\.0\.256"\] must be a registry’s host name/],
    ['registries={a.io: 5}', /registries\["a\.io"\] must be a map of keys/],
  ];
  for (const [set, message] of wrong) assert.match(refusalOf(set), message, set);
});

test('a proxy, and what is none', () => {
  const proxyOf = (text: string) => loadConfig({ set: [`upstream.proxy=${text}`] }, around).upstream.proxy;
  for (const text of ['http://proxy.lan:3128', 'http://user:p%40ss@[::1]:80/', 'http://proxy']) {
    assert.equal(proxyOf(text), text);
  }
  const wrong = [
    'https://u:hunter2@p',
    'socks5://u:hunter2@p',
    'proxy:3128',
    'http://u:hunter2@p/path',
    'http://u:hunter2%@p',
    '5',
  ];
  for (const text of wrong) {
    const message = refusalOf(`upstream.proxy=${text}`);
    assert.match(message, /upstream\.proxy must be an http:\/\/ URL of a proxy/, text);
    assert.doesNotMatch(message, /hunter2/);
  }
});
