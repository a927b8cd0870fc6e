import assert from 'node:assert/strict';
import test from 'node:test';
import { realmUrl } from '../../../agent/upstream/realm.ts';
import { failsWith } from './fixture.ts';

function allowed(origin: string, realm: string): string {
  return realmUrl(realm, { origin, prefix: '', isConfigured: true }).href;
}

test('its own host, or one of the same owner', () => {
  for (const [origin, realm] of [
    ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
    ['https://ghcr.io', 'https://ghcr.io/token'],
    ['https://registry.lan:5000', 'https://registry.lan:8443/token'],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/token'],
    ['http://[::1]:5000', 'http://[::1]:5001/token'],
    ['http://registry.lan', 'https://auth.registry.lan/token'],
    ['https://registry.gitlab.com', 'https://gitlab.com/jwt/auth'],
    ['https://registry.digitalocean.com', 'https://api.digitalocean.com/v2/registry/auth'],
    ['https://docker.elastic.co', 'https://docker-auth.elastic.co/auth'],
    ['https://mine.azurecr.io', 'https://mine.azurecr.io/oauth2/token'],
    ['https://registry.example.co.uk', 'https://auth.example.co.uk/token'],
    ['https://example.org', 'https://auth.example.org/token'],
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
    ['https://registry.co.uk', 'https://evil.co.uk/token'],
    ['https://example.co.uk', 'https://co.uk/token'],
    ['https://registry.com.au', 'https://evil.com.au/token'],
    ['https://mine.azurecr.io', 'https://evil.azurecr.io/token'],
    ['https://1.dkr.ecr.eu-west-1.amazonaws.com', 'https://2.dkr.ecr.eu-west-1.amazonaws.com/token'],
    ['https://europe-docker.pkg.dev', 'https://evil.pkg.dev/token'],
    ['https://registry.lan', 'https://auth.lan/token'],
    ['https://ghcr.io', 'https://ghcr.io.evil.example/token'],
    ['https://ghcr.io', 'https://evilghcr.io/token'],
    ['https://registry.example.org', 'https://evil-example.org/token'],
    ['https://com', 'https://evil.com/token'],
    ['https://registry.example.org.', 'https://evil.org./token'],
  ] as const) {
    assert.throws(() => allowed(origin, realm), failsWith('UPSTREAM_FAILED'), `${origin} ${realm}`);
  }
});
