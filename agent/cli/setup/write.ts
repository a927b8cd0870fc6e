import { mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { backupName, hashOf } from './backup.ts';
import { unwritable } from './disk-tree.ts';
import { isChanged, type PlannedFile, refused } from './plan.ts';
import { create, replace, statOf, syncFolder } from './replace.ts';
import { restore } from './undo.ts';

/** A file that was written, and what tells how it was before. */
export interface Written {
  readonly path: string;
  readonly backup: string;
  readonly existed: boolean;
}

/**
 * Writes what a plan changes, each file with a backup beside it. Where one fails, those before it are put back.
 * @param stamp the run's, see {@link stampOf}
 * @throws AgentError SETUP_REFUSED, SETUP_UNWRITABLE
 */
export function writePlan(files: readonly PlannedFile[], root: string, stamp: string): Written[] {
  const changed = files.filter(isChanged);
  for (const { path } of changed) {
    const isLink = statOf(join(root, path))?.isSymbolicLink() ?? false;
    if (isLink) throw refused(path, 'is a symbolic link, so something else looks after it');
  }
  const written: Written[] = [];
  for (const file of changed) {
    try {
      written.push(write(file, root, stamp));
    } catch (error) {
      for (const { path, backup } of written.reverse()) restore(dirname(path), basename(backup), root, stamp);
      throw error instanceof AgentError ? error : unwritable(file.path, 'written', error);
    }
  }
  return written;
}

function write({ path, before, content }: PlannedFile, root: string, stamp: string): Written {
  const file = join(root, path);
  const rights = statOf(file);
  const existed = rights !== undefined;
  const now = existed ? readFileSync(file) : undefined;
  if (now?.toString('utf8') !== before) throw refused(path, 'was changed while it was looked at');
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const backup = `${dirname(path)}/${backupName({ file: basename(path), stamp, hash: hashOf(content), existed })}`;
  create(join(root, backup), now ?? '', rights);
  syncFolder(dirname(file));
  replace(file, content, rights);
  return { path, backup, existed };
}
