import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePlatform, parsePlatform, platformText, thisPlatform } from '../../../agent/oci/platform.ts';

test('a platform is read as docker writes it', () => {
  assert.equal(parsePlatform('all'), 'all');
  for (const text of ['linux/amd64', 'linux/arm/v7', 'windows/amd64']) {
    const platform = parsePlatform(text);
    assert.equal(platform === 'all' ? '' : platformText(platform), text);
  }
  for (const text of [
    '',
    'linux',
    'linux/',
    '/amd64',
    'linux/arm/v7/x',
    'Linux/amd64',
    'linux/amd64\n',
    'linux/ arm',
  ]) {
    assert.throws(() => parsePlatform(text), { code: 'PLATFORM_INVALID' }, JSON.stringify(text));
  }
});

test('this machine’s goes by Go’s names', () => {
  assert.deepEqual(thisPlatform('x64'), { os: 'linux', architecture: 'amd64' });
  assert.deepEqual(thisPlatform('arm64'), { os: 'linux', architecture: 'arm64' });
});

test('what runs on it: its own variant, else the highest below', () => {
  const entries = ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6', 'linux/arm64/v8', 'linux/amd64', 'linux/amd64/v3']
    .map((text) => {
      const [os = '', architecture = '', variant] = text.split('/');
      return { platform: { os, architecture, variant } };
    })
    .concat([{ platform: { os: 'unknown', architecture: 'unknown', variant: undefined } }]);
  const cases: [wanted: string, found: string | undefined][] = [
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['linux/arm/v8', 'linux/arm/v7'],
    ['linux/arm/v4', undefined],
    ['linux/arm64', 'linux/arm64/v8'],
    ['linux/arm64/v8', 'linux/arm64/v8'],
    ['linux/amd64', 'linux/amd64'],
    ['linux/amd64/v2', 'linux/amd64'],
    ['linux/amd64/v4', 'linux/amd64/v3'],
    ['windows/amd64', undefined],
    ['linux/s390x', undefined],
  ];
  for (const [text, found] of cases) {
    const wanted = parsePlatform(text);
    assert.ok(wanted !== 'all');
    const chosen = choosePlatform(entries, wanted);
    assert.equal(chosen && platformText(chosen.platform), found, text);
  }
});
