import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Caller, refusal } from '../../../agent/registry/guard.ts';

const client: Caller = {
  host: '127.0.0.1:5055',
  origin: undefined,
  fetchSite: undefined,
  localAddress: '192.0.2.7',
};
const allowed = new Set(['mirror.lan']);

function isWelcome(caller: Partial<Caller>): boolean {
  return refusal({ ...client, ...caller }, allowed) === undefined;
}

test('registry clients are welcome under the names that are this agent’s', () => {
  for (const host of ['127.0.0.1:5055', '127.8.9.1', 'localhost', 'LocalHost:5055', '[::1]:5055', '[::1]']) {
    assert.ok(isWelcome({ host }), host);
  }
  for (const host of ['mirror.lan', 'Mirror.LAN:5055', '192.0.2.7:5055']) assert.ok(isWelcome({ host }), host);
  assert.ok(isWelcome({ host: '192.0.2.7', localAddress: '::ffff:192.0.2.7' }));
  assert.ok(isWelcome({ host: '[2001:db8::1]:5055', localAddress: '2001:db8::1' }));
  assert.ok(isWelcome({ host: undefined }), 'HTTP/1.0');
});

test('a name that somebody else may point at this machine is refused', () => {
  for (const host of ['evil.example', 'evil.example:5055', 'localhost.evil.example', '127.0.0.1.evil.example']) {
    assert.ok(!isWelcome({ host }), host);
  }
  for (const host of [
    '',
    'a@127.0.0.1',
    '127.0.0.1@evil',
    '127.0.0.1/x',
    '192.0.2.8',
    '[::2]',
    'localhost.',
    '127.1',
  ]) {
    assert.ok(!isWelcome({ host }), host);
  }
});

test('web pages are refused, whatever they call it', () => {
  assert.ok(!isWelcome({ origin: 'https://evil.example' }));
  assert.ok(!isWelcome({ origin: 'null' }));
  assert.ok(!isWelcome({ origin: 'http://127.0.0.1:5055' }));
  assert.ok(!isWelcome({ fetchSite: 'cross-site' }));
  assert.ok(!isWelcome({ fetchSite: 'same-site' }));
  assert.ok(isWelcome({ fetchSite: 'none' }), 'an address typed into a browser');
});
