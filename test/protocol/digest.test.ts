import assert from 'node:assert/strict';
import { test } from 'node:test';
import { algorithmOf, hexOf, isDigest, parseDigest, toDigest } from '../../protocol/digest.ts';

const SHA256 = `sha256:${'0a'.repeat(32)}`;
const SHA512 = `sha512:${'0a'.repeat(64)}`;

test('the two registered algorithms are digests', () => {
  for (const text of [SHA256, SHA512]) assert.equal(parseDigest(text), text);
});

test('nothing may stand before, behind or between', () => {
  const wrong = [
    '',
    'sha256:',
    SHA256.toUpperCase(),
    SHA256.slice(0, -1),
    `${SHA256}0`,
    `${SHA256}\n`,
    ` ${SHA256}`,
    SHA256.replace('sha256', 'sha512'),
    SHA512.replace('sha512', 'sha256'),
    SHA256.replace('sha256', 'md5'),
    'sha256:../../../../etc/passwd',
  ];
  for (const text of wrong) assert.equal(isDigest(text), false, text);
});

test('a digest comes apart and together', () => {
  const digest = toDigest('sha256', Buffer.alloc(32, 0x0a));
  assert.equal(digest, SHA256);
  assert.equal(algorithmOf(digest), 'sha256');
  assert.equal(hexOf(digest), '0a'.repeat(32));
});
