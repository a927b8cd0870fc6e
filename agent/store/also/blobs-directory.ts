import { constants, type Dir } from 'node:fs';
import { access, type FileHandle, open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, type Digest, hexOf, isDigest } from '../../../protocol/digest.ts';
import { ALGORITHMS } from '../layout.ts';
import { type Stamp, stampOf } from '../stamp.ts';
import { watchDirectories } from './directory-watch.ts';
import type { Source } from './source.ts';

/**
 * Where containerd has its content below its root. `ingest/`, beside `blobs/`, is what is not whole yet; a blob is
 * renamed out of it when it is.
 */
const CONTAINERD_CONTENT = 'io.containerd.content.v1.content';

/** containerd's content store. @param root as in containerd's own configuration, such as /var/lib/containerd */
export function containerdContent(root: string): Source {
  return new BlobsDirectory(root, join(root, CONTAINERD_CONTENT, 'blobs'));
}

/** An OCI image layout (OCI image spec, "Image Layout"). Its index.json is not read: blobs are asked for by digest. */
export function ociLayout(root: string): Source {
  return new BlobsDirectory(root, join(root, 'blobs'));
}

/** A directory of `<algorithm>/<hex>`. */
class BlobsDirectory implements Source {
  readonly root: string;
  readonly #blobs: string;

  constructor(root: string, blobs: string) {
    this.root = root;
    this.#blobs = blobs;
  }

  async *list(signal: AbortSignal) {
    await access(this.#blobs, constants.R_OK | constants.X_OK);
    for (const algorithm of ALGORITHMS) {
      const directory = await this.#directory(algorithm);
      if (directory === undefined) continue;
      for await (const { name } of directory) {
        signal.throwIfAborted();
        const digest = `${algorithm}:${name}`;
        if (!isDigest(digest)) continue;
        const stamp = await this.look(digest);
        if (stamp !== undefined) yield { digest, stamp };
      }
    }
  }

  async look(digest: Digest): Promise<Stamp | undefined> {
    try {
      // Links are followed: some tools make layouts of them, and what counts is what the bytes hash to.
      const stats = await stat(this.#path(digest), { bigint: true });
      return stats.isFile() ? stampOf(stats) : undefined;
    } catch {
      // Gone, or not to be seen: as good as not there.
      return undefined;
    }
  }

  open(digest: Digest): Promise<FileHandle> {
    // A pipe put in a blob's place would hold a thread of the pool for ever.
    return open(this.#path(digest), constants.O_RDONLY | constants.O_NONBLOCK);
  }

  watch(tell: (what: Digest | 'all') => void): () => void {
    const directories = ALGORITHMS.map((algorithm) => ({
      path: join(this.#blobs, algorithm),
      tell: (name: string | undefined) => {
        const digest = `${algorithm}:${name}`;
        if (name === undefined) tell('all');
        // A temporary name, on its way to become another.
        else if (isDigest(digest)) tell(digest);
      },
    }));
    return watchDirectories(directories);
  }

  async #directory(algorithm: string): Promise<Dir | undefined> {
    try {
      return await opendir(join(this.#blobs, algorithm));
    } catch (error) {
      // It is made with its first blob.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #path(digest: Digest): string {
    return join(this.#blobs, algorithmOf(digest), hexOf(digest));
  }
}
