import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import { keysAt } from '../../../agent/config/schema.ts';
import type { Surroundings } from '../../../agent/config/surroundings.ts';
import { ERRORS } from '../../../agent/errors.ts';
import { LOG_LEVELS } from '../../../agent/observe/log.ts';

const DOCUMENT = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
const root: Surroundings = { isRoot: true, home: '/root', cwd: '/', env: {} };

/** The configuration that a YAML example of the document makes. */
function loaded(example: string) {
  const [, text] = new RegExp(`^\`\`\`yaml ${example}\n([^\`]+)\`\`\`$`, 'm').exec(DOCUMENT) ?? [];
  assert.ok(text !== undefined, `the document has an example named ${example}`);
  const folder = mkdtempSync(join(tmpdir(), 'layerlan-config-'));
  try {
    const file = join(folder, 'layerlan.yaml');
    writeFileSync(file, text);
    return loadConfig({ file }, root);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the defaults in the document are the defaults', () => {
  assert.deepEqual(loaded('defaults'), loadConfig({ set: [] }, { ...root, env: {} }));
});

test('the example in the document is taken', () => {
  const { store, peers, limits, registries } = loaded('example');
  assert.deepEqual(
    store.also.map(({ kind, share }) => `${kind} ${share}`),
    ['containerd public', 'oci all'],
  );
  assert.equal(peers.static.length, 2);
  assert.equal(limits.upstream.length, 2);
  assert.deepEqual(registries.get('registry.lan:5000')?.endpoints, ['https://registry.lan:5000']);
  assert.equal(registries.get('registry.lan:5000')?.tags.fresh.length, 2);
  assert.deepEqual([...registries.keys()], ['docker.io', 'registry.lan:5000', 'ghcr.io']);
});

test('the --set examples are taken', () => {
  const given = [...DOCUMENT.matchAll(/--set (?:'([^']+)'|([a-z][^\s'`,]+))/gi)].map(
    ([, quoted, bare]) => quoted ?? bare,
  );
  const set = given.flatMap((text) => (text === undefined || text === 'key=value' ? [] : [text]));
  assert.ok(set.length >= 3);
  const { peers, registries } = loadConfig({ set }, root);
  assert.equal(peers.mdns, false);
  assert.ok(registries.has('registry.lan:5000'));
});

test('the table names every key and no other', () => {
  const sections = keysAt([], root).filter((section) => section !== 'registries');
  const keys = sections.flatMap((section) => keysAt([section], root).map((key) => `${section}.${key}`));
  keys.push(...keysAt(['registries'], root).map((key) => `registries.${key}`));
  for (const key of keysAt(['registries', 'docker.io'], root)) {
    const inner = keysAt(['registries', 'docker.io', key], root).map((each) => `${key}.${each}`);
    keys.push(...(inner.length === 0 ? [key] : inner).map((each) => `registries.<name>.${each}`));
  }
  const named = [...DOCUMENT.matchAll(/^\| `([a-z]+\.[^`]+)` +\|/gm)].map(([, key]) => key);
  assert.deepEqual(named, keys);
});

test('log levels and exit codes are those of the code', () => {
  for (const level of LOG_LEVELS) assert.ok(DOCUMENT.includes(`\`${level}\``), level);
  const codes = new Set(Object.values(ERRORS).flatMap((entry) => ('exit' in entry ? [String(entry.exit)] : [])));
  const named = [...DOCUMENT.matchAll(/^\| ([0-9]) +\|/gm)].map(([, code]) => code);
  assert.deepEqual(named, ['0', ...[...codes].sort()]);
});
