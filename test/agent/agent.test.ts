import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { startAgent } from '../../agent/agent.ts';
import { failureOf } from '../../agent/cli/failure.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { startHost } from '../support/host.ts';

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-agent-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('a network key that cannot be one is refused in a line that names the file, the key and the way out', async (t) => {
  const directory = await directoryOf(t);
  const file = join(directory, 'fleet.key');
  const set = [`peers.networkKeyFile=${file}`, `store.path=${join(directory, 'store')}`];
  const config = loadConfig({ set }, { isRoot: false, home: directory, cwd: directory, env: {} });
  for (const [text, what] of [
    [undefined, /ENOENT/],
    ['', /has 0 bytes; at least 32/],
    [`${'5e'.repeat(16)}\n`, /has 16 bytes; at least 32/],
    ['zz'.repeat(32), /not one line of hex/],
  ] as const) {
    if (text !== undefined) await writeFile(file, text);
    await assert.rejects(startAgent({ logger: pino({ enabled: false }) }, config), (error: Error) => {
      const { line, exit } = failureOf(error);
      assert.equal(exit, 2);
      assert.match(line, what);
      for (const part of [file, 'peers.networkKeyFile', 'layerlan key FILE']) assert.ok(line.includes(part), line);
      assert.equal(line.trim().split('\n').length, 1);
      if (text) assert.ok(!line.includes(text.trim()), 'the key is not shown');
      return true;
    });
  }
});

test('the door: names that are let in, figures on a listener of their own, one line where the LAN is open', async (t) => {
  const directory = await directoryOf(t);
  const config = { mirror: { allowedHosts: ['Mirror.lan'] }, metrics: { listen: '127.0.0.2:0' } };
  const host = await startHost({ upstream: 'http://127.0.0.1:9', directory, config });
  t.after(() => host.stop());
  const statusOf = (url: string, name: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      get(url, { headers: { host: name } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
  assert.equal(await statusOf(`${host.mirror}/v2/`, 'mirror.lan:5055'), 200);
  assert.equal(await statusOf(`${host.mirror}/v2/`, 'other.lan:5055'), 403);
  const lines = (text: RegExp) => host.log.filter(({ msg }) => text.test(String(msg)));
  const [figures] = lines(/metrics are served/).flatMap(({ addresses }) => addresses);
  assert.equal(await statusOf(`http://${figures}/metrics`, 'mirror.lan'), 200);
  assert.equal(await statusOf(`http://${figures}/v2/`, 'mirror.lan'), 404);
  assert.equal(lines(/no network key/).length, 1);
  assert.deepEqual(lines(/whoever can connect/), [], 'loopback is nobody else’s');

  const networkKeyFile = join(directory, 'fleet.key');
  await writeFile(networkKeyFile, `${'5e'.repeat(32)}\n`);
  const options = { upstream: 'http://127.0.0.1:9', directory: await directoryOf(t), networkKeyFile };
  const closed = await startHost({ ...options, address: '127.0.0.3' });
  t.after(() => closed.stop());
  assert.ok(!closed.log.some(({ msg }) => /no network key/.test(String(msg))));
});

test('a metrics listener that cannot be ends the start', async (t) => {
  const directory = await directoryOf(t);
  const config = { metrics: { listen: ['192.0.2.1:9'] } };
  await assert.rejects(
    startHost({ upstream: 'http://127.0.0.1:9', directory, config }),
    /192\.0\.2\.1:9 is not an address/,
  );
});

test('what is listened on, and what is waited for, is in the status', async (t) => {
  const listen = ['192.0.2.1:9', '127.0.0.2:0'];
  const config = { mirror: { listen }, metrics: { listen } };
  const host = await startHost({ upstream: 'http://127.0.0.1:9', directory: await directoryOf(t), config });
  t.after(() => host.stop());
  const { mirror } = await host.agent.status();
  assert.deepEqual(mirror, { addresses: host.agent.mirror, awaited: ['192.0.2.1:9'] });
  const absent = host.log.filter(({ msg }) => /^192\.0\.2\.1:9 is not an address/.test(String(msg)));
  assert.deepEqual(
    absent.map(({ role }) => role),
    ['registry', 'metrics'],
  );
});

test('an agent keeps its bans in the store', async (t) => {
  const directory = await directoryOf(t);
  const peer = '12D3KooWGmCiQCBd4jKpPSGcTKgFXLdhAkQbPZWgJbDR9xVtbNWg';
  const store = join(directory, 'store');
  const conduct = { strikes: 1, weight: 100, at: Date.now(), bannedUntil: Date.now() + 600_000, slippedAt: 0 };
  const options = { upstream: 'http://127.0.0.1:9', directory };
  await (await startHost(options)).stop();
  await writeFile(join(store, 'bans.json'), JSON.stringify({ version: 1, subjects: [[`peer:${peer}`, conduct]] }));
  const host = await startHost(options);
  t.after(() => host.stop());
  const { peers } = await host.agent.status();
  assert.deepEqual(
    peers.map(({ id, state }) => ({ id, state })),
    [{ id: peer, state: 'banned' }],
  );
});
