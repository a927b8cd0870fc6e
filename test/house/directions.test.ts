import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const biome = join(root, 'node_modules', '.bin', 'biome');

const ROLES = ['cli', 'upkeep', 'registry', 'fetch', 'store', 'swarm', 'upstream'];
const LIBP2P = ['libp2p', '@libp2p/tcp', '@chainsafe/libp2p-noise'];
const DISK = ['node:fs', 'node:fs/promises'];
const to = (...roles: string[]) => roles.map((role) => `../${role}/any.ts`);
const without = (...allowed: string[]) => ROLES.filter((role) => !allowed.includes(role));

/** What the design forbids each folder to import, said here once more and not read from biome.json. */
const FORBIDDEN: Record<string, readonly string[]> = {
  protocol: [
    '../agent/oci/any.ts',
    ...LIBP2P,
    ...DISK,
    'node:net',
    'node:http',
    'node:https',
    'node:dgram',
    'node:child_process',
    'undici',
    'fastify',
  ],
  'agent/oci': to(...ROLES),
  'agent/observe': to(...ROLES),
  'agent/config': to(...ROLES),
  'agent/limits': to(...ROLES),
  'agent/errors.ts': ROLES.map((role) => `./${role}/any.ts`),
  'agent/store': to(...without('store'), 'config'),
  'agent/swarm': to(...without('swarm'), 'config'),
  'agent/upstream': to(...without('upstream'), 'config'),
  'agent/fetch': [
    ...to(...without('fetch'), 'config'),
    ...LIBP2P,
    ...DISK,
    'undici',
    'fastify',
    'node:net',
    'node:http',
  ],
  'agent/registry': to(...without('registry'), 'config'),
  'agent/upkeep': to(...without('upkeep'), 'config'),
};

/** Each way in which a module can reach another. */
const WAYS = [
  (from: string) => `import { x } from '${from}';\nexport const y = x;\n`,
  (from: string) => `import type { X } from '${from}';\nexport type Y = X;\n`,
  (from: string) => `export { x } from '${from}';\n`,
  (from: string) => `export const x = () => import('${from}');\n`,
];

interface Override {
  readonly includes: readonly string[];
  readonly linter: {
    readonly rules: {
      readonly style: {
        readonly noRestrictedImports: {
          readonly options: { readonly patterns: readonly { readonly group: readonly string[] }[] };
        };
      };
    };
  };
}

/** An empty tree under the house's own rules. */
function emptyTree(t: TestContext): string {
  const tree = mkdtempSync(join(tmpdir(), 'layerlan-house-'));
  t.after(() => rmSync(tree, { recursive: true }));
  for (const file of ['biome.json', '.gitignore']) cpSync(join(root, file), join(tree, file));
  return tree;
}

function put(tree: string, file: string, text: string): void {
  mkdirSync(dirname(join(tree, file)), { recursive: true });
  writeFileSync(join(tree, file), text);
}

/** The files in which biome finds a forbidden import, with the lines of each. */
async function lint(cwd: string, ...paths: string[]): Promise<{ exit: number; found: Set<string>; report: string }> {
  const args = ['lint', '--only=style/noRestrictedImports', '--max-diagnostics=none', '--reporter=json', ...paths];
  const { exit, stdout, stderr } = await new Promise<{ exit: number; stdout: string; stderr: string }>((resolve) => {
    execFile(biome, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      resolve({ exit: error === null ? 0 : Number(error.code), stdout: out, stderr: err });
    });
  });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { category: string; location: { path: unknown } }[] };
  const found = diagnostics
    .filter(({ category }) => category === 'lint/style/noRestrictedImports')
    .map(({ location }) => String(location.path));
  return { exit, found: new Set(found), report: stdout + stderr };
}

test('every import that the design forbids is found, however it is written', async (t) => {
  const tree = emptyTree(t);
  const files: string[] = [];
  for (const [place, imports] of Object.entries(FORBIDDEN)) {
    for (const [index, from] of imports.entries()) {
      for (const [way, write] of WAYS.entries()) {
        // A single file's rule is tried in a tree of its own, below.
        if (place.endsWith('.ts')) continue;
        const file = `${place}/case-${index}-${way}.ts`;
        put(tree, file, write(from));
        files.push(file);
      }
    }
  }
  const { exit, found, report } = await lint(tree, '.');
  assert.notEqual(exit, 0);
  assert.deepEqual(
    files.filter((file) => !found.has(file)),
    [],
    report.slice(0, 2000),
  );

  for (const from of FORBIDDEN['agent/errors.ts']!) {
    put(tree, 'agent/errors.ts', WAYS[0]!(from));
    assert.ok((await lint(tree, 'agent/errors.ts')).found.has('agent/errors.ts'), from);
  }
});

test('what the design allows is let through', async (t) => {
  const tree = emptyTree(t);
  const allowed: [file: string, from: string][] = [
    ['agent/cli/a.ts', '../registry/any.ts'],
    ['agent/agent.ts', './store/index.ts'],
    ['agent/registry/a.ts', '../oci/reference.ts'],
    ['agent/registry/b.ts', 'fastify'],
    ['agent/fetch/a.ts', '../../protocol/digest.ts'],
    ['agent/fetch/b.ts', './ports.ts'],
    ['agent/store/a.ts', 'node:fs'],
    ['agent/store/b.ts', '../observe/metrics.ts'],
    ['agent/swarm/a.ts', 'libp2p'],
    ['agent/upstream/a.ts', 'undici'],
    ['agent/oci/a.ts', '../../protocol/digest.ts'],
    ['protocol/a.ts', './digest.ts'],
    ['protocol/b.ts', 'cborg'],
    ['protocol/c.ts', 'node:crypto'],
  ];
  for (const [file, from] of allowed) put(tree, file, WAYS[0]!(from));
  const { found } = await lint(tree, '.');
  assert.deepEqual([...found], []);
});

test('no rule of biome.json is without its forbidden import above', () => {
  const { overrides } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as { overrides: Override[] };
  assert.ok(overrides.length > 0);
  for (const { includes, linter } of overrides) {
    const groups = linter.rules.style.noRestrictedImports.options.patterns.flatMap(({ group }) => group);
    for (const place of includes) {
      const imports = FORBIDDEN[place.replace(/\/\*\*$/, '')];
      assert.ok(imports !== undefined, `nothing tries the rules of ${place}`);
      for (const pattern of groups) {
        assert.ok(
          imports.some((from) => matches(from, pattern)),
          `nothing tries ${pattern} in ${place}`,
        );
      }
    }
  }
});

test('the real tree passes', async () => {
  const { exit, found, report } = await lint(root, 'agent', 'protocol');
  assert.deepEqual([...found], []);
  assert.equal(exit, 0, report);
});

/** The few globs that biome.json uses. */
function matches(from: string, pattern: string): boolean {
  const expression = pattern
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/^\*\*\//, '(?:.*/)?')
    .replace(/\*+$/, '.+');
  return new RegExp(`^${expression}$`).test(from);
}
