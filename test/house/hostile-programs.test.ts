import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/*
 * Programs that play a peer are written from docs/protocol.md alone, so that they prove the document, and so that what
 * they do wrong is not what the agent happens to do: nothing they reach is of agent/ or protocol/, types neither.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

const PLACES: readonly [folder: string, name: RegExp][] = [
  ['test/support', /^(hostile|independent)-.*\.ts$|^raw-lane\.ts$/],
  ['bench/programs', /^hostile-.*\.ts$/],
];

/** Where what agents are made of is, as source and as built. */
const OURS = /^(agent|protocol|dist)\//;

/** Any text in quotes that leads to a file from here: imports of each kind, types, workers and programs to start. */
const RELATIVE = /(['"`])(\.{1,2}\/[^'"`\n]*)\1/g;

/** Ways to a module whose name is not there to be read, or that goes by the package's own name. */
const HIDDEN = /\bimport\(\s*(?!\s*['"])|\brequire\s*\(|\bcreateRequire\b|['"`](?:#|layerlan\/(?:agent|protocol|dist))/;

/** All that these files lead to, and each way of theirs into agent/ or protocol/, as `file -> file`. */
function walk(tree: string, files: readonly string[]): { reached: Set<string>; forbidden: string[] } {
  const reached = new Set<string>();
  const forbidden: string[] = [];
  const waiting = [...files];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    const text = readFileSync(join(tree, file), 'utf8');
    if (HIDDEN.test(text)) forbidden.push(`${file} -> ?`);
    for (const [, , to = ''] of text.matchAll(RELATIVE)) {
      const target = relative(tree, resolve(dirname(join(tree, file)), to));
      if (OURS.test(target)) forbidden.push(`${file} -> ${target}`);
      else if (/\.[cm]?[jt]s$/.test(target) && existsSync(join(tree, target))) waiting.push(target);
    }
  }
  return { reached, forbidden };
}

function programsIn(tree: string): string[] {
  return PLACES.flatMap(([folder, name]) =>
    readdirSync(join(tree, folder))
      .filter((file) => name.test(file))
      .map((file) => `${folder}/${file}`),
  );
}

test('no program that plays a peer leads to agent/ or protocol/', () => {
  const programs = programsIn(root);
  for (const known of [
    'test/support/hostile-peer.ts',
    'test/support/hostile-taker.ts',
    'bench/programs/hostile-host.ts',
  ])
    assert.ok(programs.includes(known), known);
  const { reached, forbidden } = walk(root, programs);
  assert.deepEqual(forbidden, []);
  assert.ok(reached.has('test/support/independent-wire.ts'), 'it goes where imports lead');
});

test('each way in which one could lead there is found, its own and through another', (t) => {
  const tree = mkdtempSync(join(tmpdir(), 'layerlan-house-'));
  t.after(() => rmSync(tree, { recursive: true }));
  const put = (file: string, text: string) => {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), text);
    return file;
  };
  const foundIn = (text: string) => walk(tree, [put('test/support/hostile-case.ts', text)]).forbidden;
  for (const to of ['agent/swarm/key.ts', 'protocol/digest.ts', 'dist/protocol/digest.js']) {
    put(to, 'export const x = 1;\n');
    const from = `../../${to}`;
    for (const text of [
      `import { x } from '${from}';\n`,
      `import {\n  x,\n  type Y,\n} from "${from}";\n`,
      `import type { X } from '${from}';\n`,
      `export * from '${from}';\n`,
      `import '${from}';\n`,
      `const { x } = await import('${from}');\n`,
      `let x: import('${from}').X;\n`,
      `new Worker(new URL('${from}', import.meta.url));\n`,
    ]) {
      assert.deepEqual(foundIn(text), [`test/support/hostile-case.ts -> ${to}`], text);
    }
    put('test/support/between.ts', `export { x } from '${from}';\n`);
    put('test/support/before.ts', "import type { x } from './between.ts';\n");
    assert.deepEqual(foundIn("import { x } from './before.ts';\n"), [`test/support/between.ts -> ${to}`]);
  }
  for (const text of [
    'await import(name);\n',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a program
    'await import(`../../${role}/key.ts`);\n',
    "const require = createRequire(import.meta.url);\nrequire(['..', '..', 'agent'].join('/'));\n",
    "import { x } from '#agent/swarm/key.ts';\n",
    "import { x } from 'layerlan/dist/protocol/digest.js';\n",
  ]) {
    assert.deepEqual(foundIn(text), ['test/support/hostile-case.ts -> ?'], text);
  }
  put('test/support/independent-wire.ts', "import { encode } from 'cborg';\n");
  assert.deepEqual(foundIn("/* Not of agent/ or protocol/. */\nimport { send } from './independent-wire.ts';\n"), []);
});
