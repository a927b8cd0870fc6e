import assert from 'node:assert/strict';
import test from 'node:test';
import { createProxyRule } from '../../../agent/upstream/proxy-rule.ts';
import { failsWith } from './fixture.ts';

const HTTPS = new URL('https://ghcr.io');
const HTTP = new URL('http://registry.example:5000');

function namesBy(configured: string | null, env: Record<string, string>): (string | undefined)[] {
  const proxyFor = createProxyRule(configured, env);
  return [proxyFor(HTTPS)?.name, proxyFor(HTTP)?.name];
}

test('the configured proxy is for everything, whatever the environment says', () => {
  const env = { HTTPS_PROXY: 'http://other:1', NO_PROXY: '*' };
  assert.deepEqual(namesBy('http://proxy.lan:3128', env), ['http://proxy.lan:3128', 'http://proxy.lan:3128']);
});

test('the environment’s, each for its own scheme, lower case first, an empty one for none', () => {
  assert.deepEqual(namesBy(null, {}), [undefined, undefined]);
  assert.deepEqual(namesBy(null, { HTTPS_PROXY: 'http://a:1' }), ['http://a:1', undefined]);
  assert.deepEqual(namesBy(null, { HTTP_PROXY: 'http://b:1' }), [undefined, 'http://b:1']);
  assert.deepEqual(namesBy(null, { https_proxy: 'http://c:1', HTTPS_PROXY: 'http://a:1' }), ['http://c:1', undefined]);
  assert.deepEqual(namesBy(null, { https_proxy: '', HTTPS_PROXY: 'a:1/' }), ['http://a:1', undefined]);
  const both = { HTTPS_PROXY: 'http://a:1', http_proxy: 'http://b:1' };
  assert.deepEqual(namesBy(null, { ...both, NO_PROXY: 'ghcr.io' }), [undefined, 'http://b:1']);
  assert.deepEqual(namesBy(null, { ...both, no_proxy: 'example:5000', NO_PROXY: '*' }), ['http://a:1', undefined]);
});

test('user and password go into the header and into no name', () => {
  const proxy = createProxyRule('http://us%3Aer:p%40ss@proxy.lan', {})(HTTPS);
  assert.equal(proxy?.name, 'http://proxy.lan');
  assert.equal(proxy?.port, 80);
  assert.equal(proxy?.authorization, `Basic ${Buffer.from('us:er:p@ss').toString('base64')}`);
  assert.equal(createProxyRule('http://proxy.lan:8080', {})(HTTPS)?.authorization, undefined);
  assert.equal(createProxyRule('http://[::1]:8080', {})(HTTPS)?.hostname, '::1');
});

test('a variable that names no HTTP proxy is told, without its value', () => {
  for (const value of [
    'socks5://u:hunter2@p:1',
    'https://u:hunter2@p',
    'http://u:hunter2@p/x',
    'http://u:hunter2%@p',
    'u:hunter2@p:x',
  ]) {
    assert.throws(
      () => createProxyRule(null, { HTTPS_PROXY: value }),
      failsWith('CONFIG_INVALID', /^HTTPS_PROXY must be (?!.*hunter2)/),
      value,
    );
  }
});
