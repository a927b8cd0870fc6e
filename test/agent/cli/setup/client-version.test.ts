import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findVersion, majorIn, parseVersion } from '../../../../agent/cli/setup/client-version.ts';

test('the major version is found in what programs say', () => {
  assert.equal(majorIn('Docker version 20.10.24+dfsg1, build 297e128\n'), 20);
  assert.equal(majorIn('29.1.0\n'), 29);
  assert.equal(majorIn('v28.0.4\n'), 28);
  assert.equal(majorIn('command not found'), undefined);
  assert.equal(majorIn(''), undefined);
});

test('--client-version takes a version and nothing else', () => {
  for (const text of ['29', '29.1', 'v29.1.0-rc.1', '29.1.0+dfsg1']) assert.equal(parseVersion(text), 29);
  for (const text of ['', 'new', '29 .1', '2.9\n', '-1', '99999']) {
    assert.throws(() => parseVersion(text), { code: 'CONFIG_INVALID' }, JSON.stringify(text));
  }
});

/** A directory with programs that do what `scripts` say. */
function programs(t: TestContext, scripts: Readonly<Record<string, string>>): { PATH: string } {
  const folder = mkdtempSync(join(tmpdir(), 'layerlan-programs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return { PATH: folder };
}

test('the daemon is asked, else the command; one that fails or hangs counts as not there', async (t) => {
  const says = 'echo Docker version 28.5.1, build e180ab8';
  assert.equal(await findVersion('docker', programs(t, { dockerd: says, docker: 'echo 20.10.1' })), 28);
  assert.equal(await findVersion('docker', programs(t, { dockerd: 'exit 1', docker: 'echo 29.0.1' })), 29);
  assert.equal(await findVersion('docker', programs(t, { dockerd: 'while :; do :; done' })), undefined);
  assert.equal(await findVersion('docker', programs(t, {})), undefined);
  assert.equal(await findVersion('k3s', programs(t, { dockerd: says })), undefined);
});
