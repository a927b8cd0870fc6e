import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CLIENTS } from '../../../../agent/cli/setup/plan.ts';
import { planFor } from '../../../../agent/cli/setup/plans.ts';
import { contents, memoryTree, WANTED } from './support.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/clients.md', import.meta.url), 'utf8');

test('the files in the document are those that setup writes', () => {
  const blocks = [...DOCUMENT.matchAll(/^```(?:json|toml|yaml)\n([^`]+)```$/gm)].map(([, text]) => text!);
  const written = new Set<string>();
  for (const client of CLIENTS) {
    for (const [path, content] of Object.entries(contents(planFor(client, WANTED, memoryTree())))) {
      assert.ok(blocks.includes(content), `${path} in the document is not what setup writes:\n${content}`);
      assert.ok(DOCUMENT.includes(`\`${path}\``), path);
      written.add(content);
    }
  }
  assert.deepEqual(
    blocks.filter((block) => !written.has(block)),
    [],
  );
});
