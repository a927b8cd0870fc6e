import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { passwordFromEnv, passwordFromFile } from '../../../../agent/upstream/credentials/password.ts';
import { failsWith } from '../fixture.ts';
import { homeOf, secretOf, user } from './fixture.ts';

test('a password in a file, read each time, without the editor’s newline', async (context) => {
  const home = await homeOf(context);
  const file = await home.file('password', ' one \n');
  const source = passwordFromFile('me', file);
  assert.deepEqual(await secretOf(source, 'any'), user('me', ' one '));
  await home.file('password', 'two\r\n');
  assert.deepEqual(await secretOf(source, 'any'), user('me', 'two'));
  await home.file('password', '\n');
  await assert.rejects(secretOf(source, 'any'), failsWith('CREDENTIALS_UNUSABLE', /password is empty/));
  await rm(file);
  await assert.rejects(secretOf(source, 'any'), failsWith('CREDENTIALS_UNUSABLE', /password does not exist/));
  await assert.rejects(
    secretOf(passwordFromFile('me', home.path), 'any'),
    failsWith('CREDENTIALS_UNUSABLE', /is not a file/),
  );
});

test('a password in the environment', async () => {
  const around = { env: { GHCR: 'pw' }, home: '/', uid: 0 };
  assert.deepEqual(await secretOf(passwordFromEnv('me', 'GHCR', around), 'any'), user('me', 'pw'));
  await assert.rejects(
    secretOf(passwordFromEnv('me', 'OTHER', around), 'any'),
    failsWith('CREDENTIALS_UNUSABLE', /OTHER is not set/),
  );
});
