import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Algorithm, algorithmOf, type Digest, HEX_LENGTH, hexOf } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { syncDirectory, writeDurably } from './durable.ts';
import type { Files } from './files.ts';

/** OCI image spec, "Image Layout": what makes the directory one that other tools can read. */
const OCI_LAYOUT = JSON.stringify({ imageLayoutVersion: '1.0.0' });
/** Blobs are found by digest; no image is listed, since an agent holds parts of many. */
const OCI_INDEX = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
});

/** Private images lie here too: other users of the machine have no business in it. */
const DIRECTORY_MODE = 0o750;

export const ALGORITHMS = Object.keys(HEX_LENGTH) as Algorithm[];

/** Where everything lies under `store.path`. */
export interface Layout {
  readonly root: string;
  readonly lock: string;
  readonly index: string;
  readonly partials: string;
  /** Content that came whole, on its way; emptied at start. */
  readonly tmp: string;
  blobs(algorithm: Algorithm): string;
  blob(digest: Digest): string;
  /** The bytes of a partial. */
  partial(digest: Digest): string;
  journal(digest: Digest): string;
}

/** Ends the name of a partial's journal; what has no such ending are the bytes. */
const JOURNAL_SUFFIX = '.journal';

export function layoutAt(root: string): Layout {
  const partials = join(root, 'partials');
  const partial = (digest: Digest) => join(partials, `${algorithmOf(digest)}-${hexOf(digest)}`);
  const blobs = (algorithm: Algorithm) => join(root, 'blobs', algorithm);
  return {
    root,
    lock: join(root, 'lock.sqlite'),
    index: join(root, 'index.sqlite'),
    partials,
    tmp: join(root, 'tmp'),
    blobs,
    blob: (digest) => join(blobs(algorithmOf(digest)), hexOf(digest)),
    partial,
    journal: (digest) => partial(digest) + JOURNAL_SUFFIX,
  };
}

/**
 * Makes the directories and the OCI layout's two files.
 * @throws AgentError STORE_UNWRITABLE
 */
export async function prepareDirectories(files: Files, layout: Layout): Promise<void> {
  try {
    const directories = [...ALGORITHMS.map((algorithm) => layout.blobs(algorithm)), layout.partials, layout.tmp];
    for (const directory of directories) {
      await makeDirectory(files, directory);
      await files.access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    }
    await files.access(layout.root, constants.W_OK);
  } catch (error) {
    throw unwritable(layout.root, error);
  }
}

/**
 * Makes a directory and those above it that are missing. By hand: Node's recursive mkdir never ends where the kernel
 * says ENOENT of a directory whose parent exists, as /proc does.
 */
async function makeDirectory(files: Files, directory: string): Promise<void> {
  try {
    await files.mkdir(directory, DIRECTORY_MODE);
    // Else a power cut could take it away with all that was fsynced in it.
    await syncDirectory(files, dirname(directory));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = dirname(directory);
    if (code !== 'ENOENT' || (await isThere(files, parent))) throw error;
    await makeDirectory(files, parent);
    await makeDirectory(files, directory);
  }
}

function isThere(files: Files, path: string): Promise<boolean> {
  return files.access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Writes the OCI layout's two files where they are missing; called by who holds the lock.
 * @throws AgentError STORE_UNWRITABLE
 */
export async function writeOciLayout(files: Files, layout: Layout): Promise<void> {
  try {
    for (const [name, text] of [
      ['oci-layout', OCI_LAYOUT],
      ['index.json', OCI_INDEX],
    ] as const) {
      const path = join(layout.root, name);
      if (!(await isThere(files, path))) await writeDurably(files, join(layout.tmp, name), path, Buffer.from(text));
    }
  } catch (error) {
    throw unwritable(layout.root, error);
  }
}

export function unwritable(root: string, cause: unknown): AgentError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('STORE_UNWRITABLE', `store.path ${root} cannot be written: ${why}`, { cause });
}
