import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OLDEST_NODE, VERSION } from '../../../agent/version.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Where a machine’s own Node lies; it may be older than ours. */
const MACHINE_NODES = ['/usr/bin/node', '/usr/local/bin/node'];

let package_: string;
let bin: string;

interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

function run(file: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, args, { env: { ...process.env, NODE_OPTIONS: '' } }, (error, out, err) => {
      resolve({ exit: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

before(async () => {
  package_ = mkdtempSync(join(tmpdir(), 'layerlan-bin-'));
  writeFileSync(join(package_, 'package.json'), readFileSync(join(root, 'package.json')));
  symlinkSync(join(root, 'node_modules'), join(package_, 'node_modules'));
  const outDir = join(package_, 'dist');
  const built = await run(join(root, 'node_modules', '.bin', 'tsc'), [
    '-p',
    join(root, 'tsconfig.build.json'),
    '--outDir',
    outDir,
  ]);
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  bin = join(package_, manifest.bin.layerlan);
  assert.ok(existsSync(bin), built.out + built.err);
});

after(() => rmSync(package_, { recursive: true, force: true }));

test('the compiled command runs', async () => {
  assert.match(readFileSync(bin, 'utf8'), /^#!\/usr\/bin\/env node\n/);
  assert.deepEqual(await run(process.execPath, [bin, '--version']), { exit: 0, out: `${VERSION}\n`, err: '' });
  const { exit, err } = await run(process.execPath, [bin, 'start', '--set', 'mirror.lisen=x']);
  assert.equal(exit, 2);
  assert.match(err, /^layerlan: [^\n]+ did you mean mirror\.listen\?\n$/);
});

test('a Node that calls itself too old is told so in one line', async () => {
  const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})`;
  const old = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, bin, 'start'];
  assert.deepEqual(await run(process.execPath, old), {
    exit: 1,
    out: '',
    err: `layerlan: Node ${OLDEST_NODE} or newer is needed; this is Node 20.20.2\n`,
  });
});

test('so is the machine’s own Node, where it is too old: the first file parses there', async (t) => {
  for (const node of MACHINE_NODES.filter((path) => existsSync(path))) {
    const version = (await run(node, ['--version'])).out.trim().slice(1);
    if (Number(version.split('.')[0]) >= OLDEST_NODE) continue;
    t.diagnostic(`${node} is ${version}`);
    assert.deepEqual(await run(node, [bin, 'start']), {
      exit: 1,
      out: '',
      err: `layerlan: Node ${OLDEST_NODE} or newer is needed; this is Node ${version}\n`,
    });
  }
});
