import assert from 'node:assert/strict';
import test from 'node:test';
import { isExempt } from '../../../agent/upstream/no-proxy.ts';

test('NO_PROXY: hosts, domains, ports and stars', () => {
  const table: [list: string, url: string, isExempt: boolean][] = [
    ['', 'https://ghcr.io', false],
    ['*', 'https://ghcr.io', true],
    [' a.example ,\tghcr.io', 'https://ghcr.io', true],
    ['GHCR.io', 'https://ghcr.IO.', true],
    ['example.com', 'https://a.b.example.com', true],
    ['.example.com', 'https://example.com', true],
    ['.example.com', 'https://a.example.com', true],
    ['*.example.com', 'https://a.example.com', true],
    ['*.example.com', 'https://example.com', false],
    ['example.com', 'https://badexample.com', false],
    ['a.example.com', 'https://example.com', false],
    ['example.com:5000', 'https://example.com', false],
    ['example.com:443', 'https://example.com', true],
    ['example.com:80', 'http://example.com', true],
    ['example.com:5000', 'http://a.example.com:5000', true],
    ['*:5000', 'http://example.com:5000', true],
    ['*:5000', 'http://example.com', false],
    ['10.0.0.7', 'http://10.0.0.7:5000', true],
    ['0.7', 'http://10.0.0.7', false],
    ['10.0.0.0/8', 'http://10.0.0.7', false],
    ['2001:db8::1', 'http://[2001:db8::1]:5000', true],
    ['[2001:db8::1]:5000', 'http://[2001:db8::1]:5000', true],
    ['[2001:db8::1]:5000', 'http://[2001:db8::1]', false],
    [',.,,*.,', 'https://ghcr.io', false],
  ];
  for (const [list, url, expected] of table) assert.equal(isExempt(new URL(url), list), expected, `${list} ${url}`);
});

test('this machine is never reached through a proxy', () => {
  for (const host of ['localhost', 'a.localhost', '127.0.0.1', '127.9.9.9', '[::1]']) {
    assert.ok(isExempt(new URL(`http://${host}:5000`), ''), host);
  }
  assert.ok(!isExempt(new URL('http://localhost.example'), ''));
});
