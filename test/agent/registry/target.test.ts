import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTarget } from '../../../agent/registry/target.ts';

test('the forms of a target', () => {
  const cases: [text: string, path: string, authority: string | undefined][] = [
    ['/v2/?ns=ghcr.io', '/v2/?ns=ghcr.io', undefined],
    ['//host/v2/', '//host/v2/', undefined],
    ['http://host:5055/v2/a?b#c', '/v2/a?b#c', 'host:5055'],
    ['HTTPS://[::1]/', '/', '[::1]'],
    ['http://host', '/', 'host'],
    ['http://host?a', '/?a', 'host'],
    ['http:///v2/', '/v2/', ''],
    ['ftp://host/v2/', '/ftp://host/v2/', undefined],
    ['*', '/*', undefined],
    ['host:443', '/host:443', undefined],
    ['', '/', undefined],
  ];
  for (const [text, path, authority] of cases) assert.deepEqual(parseTarget(text), { path, authority }, text);
});

test('a path begins with a slash whatever comes, and an absolute target is taken apart without loss', () => {
  fc.assert(fc.property(fc.string(), (text) => parseTarget(text).path.startsWith('/')));
  fc.assert(
    fc.property(fc.stringMatching(/^[^/?#\n]*$/), fc.string(), (authority, rest) => {
      assert.deepEqual(parseTarget(`http://${authority}/${rest}`), { path: `/${rest}`, authority });
    }),
  );
});
