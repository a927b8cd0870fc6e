import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS } from '../../agent/errors.ts';

const DOCUMENT = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');

interface Entry {
  readonly means: string;
  readonly status?: number;
  readonly oci?: string;
  readonly exit?: number;
}

test('the document has every error with its exit code or status and what it means, and no other', () => {
  const told = [...DOCUMENT.matchAll(/^\| `([A-Z_]+)` +\|(.*)\|$/gm)].map(([, code, rest = '']) => {
    const cells = rest.split('|').map((cell) => cell.trim());
    assert.ok((cells.at(-1) ?? '').length > 0, `${code} says what to do`);
    return [code, cells.slice(0, -1)] as const;
  });
  const entries = Object.entries(ERRORS) as [string, Entry][];
  const cellsOf = ({ exit, status, oci, means }: Entry) =>
    exit !== undefined ? [`${exit}`, means] : status !== undefined ? [`${status}`, `\`${oci}\``, means] : [means];
  const byCode = (a: readonly [string | undefined, unknown], b: readonly [string | undefined, unknown]) =>
    String(a[0]).localeCompare(String(b[0]));
  assert.deepEqual(told.sort(byCode), entries.map(([code, entry]) => [code, cellsOf(entry)] as const).sort(byCode));
});
