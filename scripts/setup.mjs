// Installs the dependencies, the pinned Node among them, when they are missing or older than the lock;
// otherwise does nothing, so that everything works offline. Runs on whatever Node came with the machine.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lock = join(root, 'package-lock.json');
// npm writes this file last: it is missing after an install that was cut short.
const installed = join(root, 'node_modules', '.package-lock.json');
const runtime = join(root, 'node_modules', '.bin', 'node');

if (!existsSync(runtime) || !existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  console.error('layerlan: installing dependencies (once)…');
  // `npm install`, not `npm ci`: the lock may lack the optional packages of other platforms, which npm ci refuses.
  const result = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.status !== 0) {
    console.error(
      'layerlan: the dependencies could not be installed; npm says why above. A proxy or registry setting in ~/.npmrc may be missing.',
    );
    process.exit(result.status ?? 1);
  }
}
