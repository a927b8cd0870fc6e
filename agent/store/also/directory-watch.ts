import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';

/**
 * How often it is looked whether a directory has come, gone, or made place for another, and whether it changed without
 * a word (no inotify watch was left, or a network's file system has none). Two calls a source. Milliseconds.
 */
const LOOK_EVERY = 2_000;

export interface WatchedDirectory {
  readonly path: string;
  /** Told the name of what may have come, changed or gone; undefined: it may be anything. */
  tell(name: string | undefined): void;
}

/** Watches directories, there or not, until what it returns is called. Some changes may go untold. */
export function watchDirectories(directories: readonly WatchedDirectory[]): () => void {
  const watches = directories.map((directory) => new DirectoryWatch(directory));
  return () => {
    for (const each of watches) each.close();
  };
}

class DirectoryWatch {
  readonly #directory: WatchedDirectory;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  /** Which directory it is; undefined where there is none, or was none yet. */
  #identity: string | undefined;
  #changedAt: bigint | undefined;
  #wasTold = false;
  #looking = false;
  #closed = false;

  constructor(directory: WatchedDirectory) {
    this.#directory = directory;
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY).unref();
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    // On a file system that hangs, one look at a time.
    if (this.#looking) return;
    this.#looking = true;
    const found = await stat(this.#directory.path, { bigint: true }).catch(() => undefined);
    this.#looking = false;
    if (this.#closed) return;
    const identity = found && `${found.dev}:${found.ino}`;
    const isAnother = identity !== this.#identity;
    const changedUntold = found?.mtimeNs !== this.#changedAt && !this.#wasTold;
    this.#identity = identity;
    this.#changedAt = found?.mtimeNs;
    this.#wasTold = false;
    if (isAnother || (found !== undefined && this.#watcher === undefined)) this.#rewatch(found !== undefined);
    if (isAnother || changedUntold) this.#directory.tell(undefined);
  }

  #rewatch(isThere: boolean): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (!isThere) return;
    try {
      const watcher = watch(this.#directory.path, { persistent: false });
      watcher.on('change', (_, name) => {
        this.#wasTold = true;
        this.#directory.tell(name?.toString());
      });
      watcher.on('error', () => {
        watcher.close();
        // The next look tries again.
        if (this.#watcher === watcher) this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch {
      // No watch is left, or the directory is gone again: looks alone will do.
    }
  }
}
