import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseNetworkKey } from '../../../agent/swarm/key.ts';
import { OLDEST_NODE, VERSION } from '../../../agent/version.ts';
import { command, sampleStatus, serve } from './support.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'layerlan-cli-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('the constants are what package.json says', async () => {
  const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  assert.equal(VERSION, manifest.version);
  assert.equal(`>=${OLDEST_NODE}`, manifest.engines.node);
  assert.deepEqual(await command('--version'), { exit: 0, out: `${manifest.version}\n`, err: '' });
});

test('help is for stdout, a wrong command one line on stderr', async () => {
  const help = await command('--help');
  assert.equal(help.exit, 0);
  for (const name of [
    'start',
    'status',
    'peers',
    'refresh',
    'ls',
    'pin',
    'unpin',
    'rm',
    'gc',
    'verify',
    'setup',
    'doctor',
    'key',
  ])
    assert.match(help.out, new RegExp(`^ {2}${name} `, 'm'));
  for (const args of [['nonsense'], ['status', '--nonsense'], ['key'], ['refresh'], ['start', '--set']]) {
    const { exit, out, err } = await command(...args);
    assert.equal(exit, 2, args.join(' '));
    assert.equal(out, '');
    assert.match(err, /^layerlan: [^\n]+\n$/);
  }
});

test('what is wrong with the configuration is one line and an exit code, for every command', async (t) => {
  const file = join(folder(t), 'layerlan.yaml');
  writeFileSync(file, 'peers:\n  mdsn: true\n');
  for (const name of ['start', 'status', 'peers']) {
    const { exit, out, err } = await command(name, '--config', file);
    assert.deepEqual({ exit, out }, { exit: 2, out: '' });
    assert.equal(err, `layerlan: ${file}:2: peers.mdsn is not a key of the configuration; did you mean peers.mdns?\n`);
    assert.equal((await command(name, '--config', `${file}.none`)).exit, 1);
    assert.equal((await command(name, '--set', 'store.path=5')).exit, 2);
  }
  const { exit, err } = await command('start', '--log-level', 'loud');
  assert.equal(exit, 2);
  assert.match(err, /^layerlan: --log-level must be one of [^\n]+\n$/);
});

test('status and peers find the agent through the configuration', async (t) => {
  const json = JSON.stringify({ ...sampleStatus(), later: 'more' });
  const port = await serve(t, json);
  const set = ['--set', `mirror.listen=["0.0.0.0:${port}", "127.0.0.1:1"]`];
  const human = await command('status', ...set);
  assert.equal(human.exit, 0);
  assert.match(human.out, /^uplink spared +11\.3 GiB$/m);
  assert.deepEqual(JSON.parse((await command('status', '--json', ...set)).out), JSON.parse(json), 'as it came');
  assert.deepEqual(JSON.parse((await command('peers', '--json', ...set)).out), { peers: sampleStatus().peers });
  assert.match((await command('peers', ...set)).out, /^PEER +STATE/);
});

test('no agent, or something else on its port', async (t) => {
  const cases: [port: number, message: RegExp][] = [
    [await serve(t, 'hello'), /is no layerlan agent/],
    [await serve(t, '{"peers":[]}'), /is no layerlan agent/],
    [await serve(t, '', 404), /it answers 404/],
    [await serve(t, 'x'.repeat(17 * 1024 * 1024)), /it says too much/],
    [1, /connection refused/],
    [await serve(t, undefined), /nothing in 3 s/],
  ];
  for (const [port, message] of cases) {
    const { exit, out, err } = await command('status', '--set', `mirror.listen=127.0.0.1:${port}`);
    assert.deepEqual({ exit, out }, { exit: 1, out: '' });
    assert.match(err, message);
    assert.match(err, new RegExp(`^layerlan: [^\\n]*127\\.0\\.0\\.1:${port}[^\\n]*\\n$`));
  }
});

test('key makes a key that only its owner can read, and never another in its place', async (t) => {
  const file = join(folder(t), 'network.key');
  assert.equal((await command('key', file)).exit, 0);
  const text = readFileSync(file, 'utf8');
  assert.ok(parseNetworkKey(text).length >= 32);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const again = await command('key', file);
  assert.equal(again.exit, 1);
  assert.match(again.err, /^layerlan: no key was written to [^\n]+: it exists already\n$/);
  assert.equal(readFileSync(file, 'utf8'), text);
  assert.match((await command('key', join(file, 'x'))).err, /^layerlan: no key was written/);
});
