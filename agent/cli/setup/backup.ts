import { createHash } from 'node:crypto';

/** Every file that setup may write; a backup is one of these, with more behind it. */
const FILES = ['daemon.json', 'hosts.toml', '50-layerlan.conf', 'buildkitd.toml', 'registries.yaml'];

/**
 * `daemon.json.layerlan-20261122T112000123Z-1a2b3c4d.before`: what was there before a run of setup; with `.absent`, that
 * nothing was. No client reads a file of such a name.
 */
export interface Backup {
  /** The name of the file that was changed. */
  readonly file: string;
  /** The run that changed it; later runs sort behind earlier ones. */
  readonly stamp: string;
  /** What was written in its place, by {@link hashOf}: what has another hash was changed since. */
  readonly hash: string;
  /** Whether there was a file before. */
  readonly existed: boolean;
}

const NAME = /^(.+)\.layerlan-([0-9]{8}T[0-9]{9}Z)-([0-9a-f]{8})\.(before|absent)$/;

/** The stamp of a run that begins at `date`. */
export function stampOf(date: Date): string {
  return date.toISOString().replace(/[-:.]/g, '');
}

/** Tells whether a file is still as it was written; it keeps nobody out. */
export function hashOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 8);
}

export function backupName({ file, stamp, hash, existed }: Backup): string {
  return `${file}.layerlan-${stamp}-${hash}.${existed ? 'before' : 'absent'}`;
}

/** The backup that a name stands for; undefined where it is none of ours. */
export function parseBackup(name: string): Backup | undefined {
  const [whole, file, stamp, hash, kind] = NAME.exec(name) ?? [];
  if (whole !== name || file === undefined || !FILES.includes(file)) return undefined;
  return { file, stamp: stamp!, hash: hash!, existed: kind === 'before' };
}
