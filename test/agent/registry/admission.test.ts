import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAdmission, type RepositoryRules } from '../../../agent/registry/admission.ts';
import { startMirror } from './support.ts';

const RULES = new Map<string, RepositoryRules>([
  ['docker.io', { allow: ['library/*', 'team/*'], deny: ['*/secret*', 'library/old'] }],
  ['ghcr.io', { allow: [], deny: [] }],
]);
const OPEN = new Map([...RULES, ['*', { allow: ['*'], deny: ['internal/*'] }] as const]);

function codeOf(rules: typeof RULES, registry: string, name: string): string | undefined {
  try {
    createAdmission(rules)({ registry, name });
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

test('allow lets in, deny is stronger, and what is not listed goes by the rules of all others', () => {
  assert.equal(codeOf(OPEN, 'docker.io', 'library/alpine'), undefined);
  assert.equal(codeOf(OPEN, 'docker.io', 'other/alpine'), 'REPOSITORY_NOT_ALLOWED');
  assert.equal(codeOf(OPEN, 'docker.io', 'team/secrets/a'), 'REPOSITORY_NOT_ALLOWED');
  assert.equal(codeOf(OPEN, 'docker.io', 'library/old'), 'REPOSITORY_NOT_ALLOWED');
  assert.equal(codeOf(OPEN, 'ghcr.io', 'a/b'), 'REPOSITORY_NOT_ALLOWED', 'nothing is allowed');
  assert.equal(codeOf(OPEN, 'quay.io', 'a/b'), undefined);
  assert.equal(codeOf(OPEN, 'quay.io', 'internal/b'), 'REPOSITORY_NOT_ALLOWED');
});

test('without rules for all others these are refused', () => {
  assert.equal(codeOf(RULES, 'docker.io', 'library/alpine'), undefined);
  assert.equal(codeOf(RULES, 'quay.io', 'a/b'), 'REGISTRY_NOT_LISTED');
  assert.equal(codeOf(RULES, 'constructor', 'a/b'), 'REGISTRY_NOT_LISTED');
});

test('a client is told by one OCI error, by whatever way it names the registry, and nobody is asked for content', async (t) => {
  const { url, content } = await startMirror(t, { registries: RULES });
  const { digest } = content.addBlob(10);
  const manifest = content.addManifest('latest', '{}');
  const refused: [path: string, detail: string, message: RegExp][] = [
    [`quay.io/a/b/blobs/${digest}`, 'REGISTRY_NOT_LISTED', /^quay\.io is not among/],
    [`a/b/manifests/latest?ns=QUAY.io`, 'REGISTRY_NOT_LISTED', /^quay\.io is not among/],
    [
      `library/old/blobs/${digest}`,
      'REPOSITORY_NOT_ALLOWED',
      /docker\.io\/library\/old: it matches library\/old in deny/,
    ],
    [`old/manifests/${manifest.digest}`, 'REPOSITORY_NOT_ALLOWED', /docker\.io\/library\/old/],
    [`ghcr.io/a/b/manifests/latest`, 'REPOSITORY_NOT_ALLOWED', /ghcr\.io\/a\/b: it matches nothing in allow/],
  ];
  for (const [path, code, message] of refused) {
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(`${url}/v2/${path}`, { method });
      assert.equal(response.status, 403, path);
      if (method === 'HEAD') continue;
      const { errors } = (await response.json()) as {
        errors: { code: string; message: string; detail: { error: string } }[];
      };
      assert.equal(errors.length, 1);
      assert.equal(errors[0]?.code, 'DENIED');
      assert.equal(errors[0]?.detail.error, code);
      assert.match(errors[0]?.message ?? '', message);
    }
  }
  assert.deepEqual(content.requests, []);
  assert.equal((await fetch(`${url}/v2/library/app/blobs/${digest}`)).status, 200);
  assert.equal((await fetch(`${url}/v2/`)).status, 200);
});
