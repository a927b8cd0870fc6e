import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAgentError } from '../../agent/errors.ts';
import { readRegistries } from '../../agent/registries.ts';
import { createAuthority } from '../support/certificates.ts';

test('a registry’s CA is read, and nothing else that stands in its file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'layerlan-ca-'));
  t.after(() => rm(folder, { recursive: true }));
  const ca = join(folder, 'ca.pem');
  const [one, other] = [createAuthority('one'), createAuthority('other')];
  const { key } = one.issue('x.example');
  await writeFile(ca, `# the company's\n${one.cert}${key}${other.cert}`);
  const read = await readRegistries(
    new Map([
      ['a.io', { endpoints: ['https://a.io'], credentials: null, ca }],
      ['b.io', { endpoints: ['https://b.io'], credentials: null, ca: null }],
    ]),
  );
  assert.deepEqual(read['b.io'], { endpoints: ['https://b.io'], credentials: null });
  assert.equal(read['a.io']?.ca, `${one.cert.trim()}\n${other.cert.trim()}`);
});

test('a CA file that cannot be used is named with its key', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'layerlan-ca-'));
  t.after(() => rm(folder, { recursive: true }));
  const { cert } = createAuthority();
  const wrong: [content: string | Uint8Array | undefined, message: RegExp][] = [
    [undefined, /cannot be read: ENOENT/],
    ['', /holds no certificate in PEM/],
    [createAuthority().issue('x').key, /holds no certificate in PEM/],
    [Buffer.from(cert.replace(/-----[^-]+-----/g, ''), 'base64'), /holds no certificate in PEM/],
    [cert + cert.replace(/^MII.{8}/m, 'MIIAAAAAAAA'), /is damaged: its certificate 2 is none/],
    [Buffer.alloc(2 * 1024 * 1024, cert), /is too large/],
  ];
  for (const [index, [content, message]] of wrong.entries()) {
    const ca = join(folder, `${index}.pem`);
    if (content !== undefined) await writeFile(ca, content);
    await assert.rejects(
      readRegistries(new Map([['registry.lan:5000', { endpoints: [], credentials: null, ca }]])),
      (error: Error) => {
        assert.ok(isAgentError(error, 'CA_INVALID'), String(error));
        assert.ok(error.message.startsWith(`registries["registry.lan:5000"].ca: ${ca} `), error.message);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});
