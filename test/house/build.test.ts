import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import type * as Thread from '../../agent/swarm/bulk/thread.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('built, the agent starts its bulk thread: nothing rewrites the name of what is not imported', async (t) => {
  const built = await mkdtemp(join(tmpdir(), 'layerlan-built-'));
  t.after(() => rm(built, { recursive: true, force: true }));
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(tsc, ['-p', 'tsconfig.build.json', '--outDir', built], { cwd: ROOT });
  await copyFile(join(ROOT, 'package.json'), join(built, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(built, 'node_modules'));
  const file = pathToFileURL(join(built, 'agent', 'swarm', 'bulk', 'thread.js')).href;
  const { BulkThread } = (await import(file)) as typeof Thread;
  const died: string[] = [];
  const thread = new BulkThread(
    pino({ enabled: false }),
    () => {},
    () => died.push('died'),
  );
  assert.ok((await thread.listen('127.0.0.1', 0)) > 0);
  await thread.close();
  assert.deepEqual(died, []);
});
