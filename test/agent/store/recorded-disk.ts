import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Files } from '../../../agent/store/files.ts';
import { type Call, interceptedFiles } from './intercepted-files.ts';

/** A file call that was made, and what SQLite's files were right before the next one. */
export interface Step {
  readonly call: Call;
  readonly index: Buffer | undefined;
  readonly wal: Buffer | undefined;
}

/** The file calls that change something, in order; paths are under `root`. */
const CHANGING: ReadonlySet<Call['kind']> = new Set([
  ...(['open', 'write', 'truncate', 'sync', 'datasync', 'rename', 'rm', 'mkdir'] as const),
]);

/** The system's files, which tell `steps` of every change that was made under `root`. */
export function recordedFiles(root: string, steps: Step[]): Files {
  const index = join(root, 'index.sqlite');
  const readIndex = keptWhileSame(index);
  const readWal = keptWhileSame(`${index}-wal`);
  const under = (path: string) => relative(root, path);
  let pending: Call | undefined;
  return interceptedFiles(async (call, go) => {
    if (!CHANGING.has(call.kind) || under(call.path).startsWith('..')) return await go();
    // What SQLite wrote since the call before belongs to that one.
    if (pending !== undefined) steps.push({ call: pending, index: readIndex(), wal: readWal() });
    pending = {
      ...call,
      path: under(call.path),
      ...(call.to === undefined ? {} : { to: under(call.to) }),
      // The caller's buffer is used again.
      ...(call.bytes === undefined ? {} : { bytes: Buffer.from(call.bytes) }),
    };
    return await go();
  });
}

/** Reads a file; the same buffer as before where nothing changed. */
function keptWhileSame(path: string): () => Buffer | undefined {
  let last: Buffer | undefined;
  return () => {
    const now = existsSync(path) ? readFileSync(path) : undefined;
    if (now === undefined || last === undefined || !now.equals(last)) last = now;
    return last;
  };
}

interface Content {
  synced: Buffer;
  /** Since the last fsync, in order. */
  unsynced: Call[];
}

/** A directory's names, and who they are of: a file's content, or another directory. */
type Names = Map<string, Content | 'directory'>;

/** What becomes of what was not fsynced. */
export interface Loss {
  /** Whether a name that was made, moved or removed since its directory's last fsync is as it was made. */
  isNamed(): boolean;
  /** How much there is of what was written since the file's last fsync. */
  data(): 'lost' | 'zeroed' | 'torn' | 'kept';
  /** The same of SQLite's log. */
  log(): 'lost' | 'torn' | 'kept';
}

/** A disk as the recorded calls leave it, on which only what was fsynced is sure. */
export class RecordedDisk {
  readonly #synced = new Map<string, Names>([['', new Map()]]);
  readonly #now = new Map<string, Names>([['', new Map()]]);
  #index: Buffer | undefined;
  #wal: Buffer | undefined;
  /** Bytes of the log that were fsynced. */
  #walSynced = 0;

  /** Makes one step. */
  apply({ call, index, wal }: Step): void {
    const isLog = call.path.startsWith('index.sqlite');
    if (isLog && call.kind === 'datasync') this.#walSynced = this.#wal?.length ?? 0;
    if (!isLog) this.#apply(call);
    // Closed and opened again, the log begins anew; what was in it SQLite has fsynced into the index.
    if (wal === undefined || (this.#wal && !wal.subarray(0, 32).equals(this.#wal.subarray(0, 32)))) this.#walSynced = 0;
    this.#index = index;
    this.#wal = wal;
  }

  /** Makes in `root`, which is empty, what a power cut leaves now. */
  leave(root: string, loss: Loss): void {
    this.#leaveDirectory(root, '', loss);
    if (this.#index !== undefined) writeFileSync(join(root, 'index.sqlite'), this.#index);
    if (this.#wal === undefined) return;
    const rest = this.#wal.length - this.#walSynced;
    const part = { lost: 0, torn: Math.floor(rest * 0.6), kept: rest }[loss.log()];
    writeFileSync(join(root, 'index.sqlite-wal'), this.#wal.subarray(0, this.#walSynced + part));
  }

  #apply(call: Call): void {
    const { path } = call;
    const names = this.#namesAround(path);
    const name = basename(path);
    const found = names.get(name);
    if (call.kind === 'mkdir') {
      if (found !== undefined) return;
      names.set(name, 'directory');
      this.#now.set(path, new Map());
      this.#synced.set(path, new Map());
    } else if (call.kind === 'rm') names.delete(name);
    else if (call.kind === 'rename') {
      names.delete(name);
      if (found !== undefined) this.#namesAround(call.to!).set(basename(call.to!), found);
    } else if (call.kind === 'open') {
      if (this.#now.has(path) || call.flags === 'r' || (call.flags === 'r+' && found === undefined)) return;
      if (found === undefined) names.set(name, { synced: Buffer.alloc(0), unsynced: [] });
      else if (call.flags === 'w') (found as Content).unsynced.push({ kind: 'truncate', path, position: 0 });
    } else if (this.#now.has(path)) this.#synced.set(path, new Map(this.#now.get(path)));
    else this.#change(this.#contentOf(path), call);
  }

  #change(content: Content | undefined, call: Call): void {
    if (content === undefined) return;
    if (call.kind === 'write' || call.kind === 'truncate') content.unsynced.push(call);
    else {
      content.synced = bytesOf(content, 'kept');
      content.unsynced = [];
    }
  }

  #namesAround(path: string): Names {
    const directory = dirname(path);
    return this.#now.get(directory === '.' ? '' : directory) ?? new Map();
  }

  /** A file that is written to may have been renamed since it was opened: the store does that to a partial alone. */
  #contentOf(path: string): Content | undefined {
    const found = this.#namesAround(path).get(basename(path));
    return found === 'directory' ? undefined : found;
  }

  #leaveDirectory(root: string, directory: string, loss: Loss): void {
    const [synced, now] = [this.#synced.get(directory)!, this.#now.get(directory)!];
    for (const name of new Set([...synced.keys(), ...now.keys()])) {
      const isSure = synced.get(name) === now.get(name);
      const found = (isSure || loss.isNamed() ? now : synced).get(name);
      if (found === undefined) continue;
      const path = join(directory, name);
      if (found === 'directory') {
        mkdirSync(join(root, path));
        this.#leaveDirectory(root, path, loss);
      } else writeFileSync(join(root, path), bytesOf(found, loss.data()));
    }
  }
}

function bytesOf({ synced, unsynced }: Content, what: 'lost' | 'zeroed' | 'torn' | 'kept'): Buffer {
  if (what === 'lost') return synced;
  let bytes = synced;
  for (const [at, { kind, position = 0, bytes: written = Buffer.alloc(0) }] of unsynced.entries()) {
    const isLast = at === unsynced.length - 1;
    if (kind === 'truncate')
      bytes = Buffer.concat([bytes.subarray(0, position), Buffer.alloc(Math.max(0, position - bytes.length))]);
    else {
      const end = position + written.length;
      bytes = Buffer.concat([bytes, Buffer.alloc(Math.max(0, end - bytes.length))]);
      // Torn: of the last write the first half, of those before it all.
      const kept = what === 'zeroed' ? 0 : what === 'torn' && isLast ? written.length >> 1 : written.length;
      bytes.set(written.subarray(0, kept), position);
      bytes.fill(0, position + kept, end);
    }
  }
  return bytes;
}
