import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
