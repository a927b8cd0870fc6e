import { readFileSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { type Backup, hashOf, parseBackup } from './backup.ts';
import { unwritable } from './disk-tree.ts';
import { refused, type Tree } from './plan.ts';
import { create, replace, statOf, syncFolder } from './replace.ts';

/** What became of one file. */
export interface Undone {
  readonly path: string;
  /** Whether there was a file before the run that is undone. */
  readonly existed: boolean;
  /** Where what was there lies now, if somebody had changed it since. */
  readonly kept: string | undefined;
}

/**
 * Takes back the last run of setup that left backups in `folders`.
 * @param stamp this run's, for what is put aside
 * @throws AgentError SETUP_REFUSED where there is none, SETUP_UNWRITABLE
 */
export function undo(folders: readonly string[], root: string, tree: Tree, stamp: string): Undone[] {
  const backups = folders.flatMap((folder) =>
    tree.list(folder).map((name) => ({ folder, name, it: parseBackup(name) })),
  );
  const last =
    backups
      .map(({ it }) => it?.stamp ?? '')
      .sort()
      .at(-1) ?? '';
  if (last === '') {
    throw new AgentError('SETUP_REFUSED', `there is nothing to undo: no backup of setup lies in ${folders[0]}`);
  }
  const undone: Undone[] = [];
  for (const { folder, name } of backups.filter(({ it }) => it?.stamp === last)) {
    undone.push(restore(folder, name, root, stamp));
  }
  return undone;
}

/** Puts one file back as its backup says. @throws AgentError SETUP_REFUSED, SETUP_UNWRITABLE */
export function restore(folder: string, name: string, root: string, stamp: string): Undone {
  const backup = parseBackup(name)!;
  const path = `${folder}/${backup.file}`;
  try {
    return restored(backup, path, join(root, folder, name), root, stamp);
  } catch (error) {
    throw error instanceof AgentError ? error : unwritable(path, 'written', error);
  }
}

function restored(backup: Backup, path: string, from: string, root: string, stamp: string): Undone {
  const file = join(root, path);
  const there = statOf(file);
  if (there?.isSymbolicLink()) throw refused(path, 'is a symbolic link, so something else looks after it');
  const kept = there === undefined ? undefined : putAside(backup, path, root, stamp);
  if (backup.existed) replace(file, readFileSync(from), statOf(from));
  else rmSync(file, { force: true });
  rmSync(from);
  syncFolder(dirname(file));
  if (!backup.existed && backup.file === 'hosts.toml') removeIfEmpty(dirname(file));
  return { path, existed: backup.existed, kept };
}

/** What somebody wrote after us is not ours to drop. */
function putAside({ hash }: Backup, path: string, root: string, stamp: string): string | undefined {
  const file = join(root, path);
  const content = readFileSync(file);
  if (hashOf(content) === hash) return undefined;
  const kept = `${path}.layerlan-${stamp}.kept`;
  create(join(root, kept), content, statOf(file));
  return kept;
}

/** An empty directory of a registry would keep clients from `_default`. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody else's files are in it.
  }
}
