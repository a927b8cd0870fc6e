import assert from 'node:assert/strict';
import test from 'node:test';
import { realmUrl } from '../../../agent/upstream/realm.ts';
import { failsWith } from './fixture.ts';

function allowed(origin: string, realm: string): string {
  return realmUrl(realm, { origin, prefix: '', isConfigured: true }).href;
}

test('its own host, or one under the same two labels', () => {
  for (const [origin, realm] of [
    ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
    ['https://ghcr.io', 'https://ghcr.io/token'],
    ['https://registry.lan:5000', 'https://registry.lan:8443/token'],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/token'],
    ['http://[::1]:5000', 'http://[::1]:5001/token'],
    ['http://registry.lan', 'https://auth.registry.lan/token'],
  ] as const) {
    assert.equal(allowed(origin, realm), realm);
  }
});

test('nowhere else', () => {
  for (const [origin, realm] of [
    ['https://registry-1.docker.io', 'https://auth.docker.io.evil.example/token'],
    ['https://registry-1.docker.io', 'https://evil.io/token'],
    ['https://registry-1.docker.io', 'http://auth.docker.io/token'],
    ['https://registry-1.docker.io', 'https://user:secret@auth.docker.io/token'],
    ['https://registry-1.docker.io', 'file:///etc/passwd'],
    ['https://registry-1.docker.io', '/token'],
    ['http://10.0.0.1', 'http://10.9.0.1/token'],
    ['http://1.2.0.1', 'http://3.4.0.1/token'],
    ['http://[fd00::1]', 'http://[fd01::1]/token'],
    ['http://localhost', 'http://registry/token'],
  ] as const) {
    assert.throws(() => allowed(origin, realm), failsWith('UPSTREAM_FAILED'), `${origin} ${realm}`);
  }
});
