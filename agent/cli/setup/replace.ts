import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isMissing } from './disk-tree.ts';

/** What a client's configuration is made with: its daemon may run as somebody else. */
const NEW_MODE = 0o644;

/** Whose a file is, and who may do what with it. */
export type Rights = Pick<Stats, 'mode' | 'uid' | 'gid'>;

/** What is at `file` itself, a symbolic link included; undefined where nothing is. */
export function statOf(file: string): Stats | undefined {
  try {
    return lstatSync(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Makes a file that must not be there yet, safely on disk. */
export function create(file: string, content: string | Uint8Array, rights: Rights | undefined): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeFileSync(descriptor, content);
    const { uid, gid } = fstatSync(descriptor);
    // Only where it differs: who is not root may not give a file away, not even to himself.
    if (rights !== undefined && (rights.uid !== uid || rights.gid !== gid)) {
      fchownSync(descriptor, rights.uid, rights.gid);
    }
    fchmodSync(descriptor, (rights?.mode ?? NEW_MODE) & 0o7777);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Puts `content` at `file` at once: who reads it sees the old or the new, whole. */
export function replace(file: string, content: string | Uint8Array, rights: Rights | undefined): void {
  const temporary = `${file}.layerlan-${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  create(temporary, content, rights);
  try {
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(file));
}

/** A rename or removal that a power cut must not take back. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
