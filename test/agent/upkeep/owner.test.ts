import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createOwner } from '../../../agent/upkeep/owner.ts';

test('the key lies where its owner alone reads it, and is another at each start', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-owner-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'owner.key');
  const first = await createOwner(path);
  const key = await readFile(path, 'utf8');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  first.assert(key);
  for (const other of [undefined, '', 'x', key.slice(1), `${key} `, 'f'.repeat(64), 'ü'.repeat(64)]) {
    assert.throws(() => first.assert(other), { code: 'NOT_OWNER' }, other);
  }
  const second = await createOwner(path);
  assert.throws(() => second.assert(key), { code: 'NOT_OWNER' });
  second.assert(await readFile(path, 'utf8'));
  assert.deepEqual(await readdir(directory), ['owner.key']);
});

test('where no key can be written nobody is let in, and the start goes on', async () => {
  const owner = await createOwner('/proc/no/such/owner.key');
  assert.throws(() => owner.assert(''), { code: 'NOT_OWNER', message: /could not be written at the start: ENOENT/ });
});
