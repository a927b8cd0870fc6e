/**
 * What else the host holds: containerd's content store and OCI image layouts, read only, without a copy.
 *
 * A {@link Source} lists files that go by digests and tells of changes; a follower keeps the ledger in step with it; the
 * idle hasher looks whether a file is what its name says, and makes its chunk map; what was found out is remembered in
 * `also.sqlite` under `store.path`. Only then is a file held. What is public among it, peers get too.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Digest } from '../../../protocol/digest.ts';
import { createHashThread } from '../hash-thread.ts';
import type { DiskStore, StoreMetrics } from '../index.ts';
import { unwritable } from '../layout.ts';
import { Activity } from './activity.ts';
import { type AlsoIndex, openAlsoIndex } from './also-index.ts';
import { containerdContent, ociLayout } from './blobs-directory.ts';
import { StoreAndAlso } from './face.ts';
import { Follower } from './follower.ts';
import { IdleHasher } from './idle-hasher.ts';
import { Ledger } from './ledger.ts';
import { Publicity } from './publicity.ts';
import { AlsoReaders } from './readers.ts';
import type { Source } from './source.ts';

/** An entry of `store.also`. */
export interface AlsoPlace {
  readonly kind: 'containerd' | 'oci';
  readonly path: string;
  /** What of it peers may have. */
  readonly share: 'public' | 'all';
}

export interface AlsoInit {
  /** Where its index lies: the store's own directory. */
  readonly directory: string;
  readonly places: readonly AlsoPlace[];
  /** Milliseconds. */
  readonly recheck: number;
}

export interface AlsoComponents {
  /** What this agent holds itself; it is asked first. */
  readonly store: DiskStore;
  readonly logger: Logger;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  readonly metrics?: StoreMetrics;
  /** @default what lies there on disk */
  readonly sourceOf?: (place: AlsoPlace) => Source;
}

/** What else the host holds, with the store before it. */
export interface Also {
  /** Both as one. Its `close` closes the store alone. */
  readonly store: DiskStore;
  /** Begins to hash what waits for it, whenever nobody reads and `isBusy` says no. Once. */
  hash(isBusy: () => boolean): void;
  /** A registry named or gave this digest to somebody without credentials: it is public. */
  named(digest: Digest): void;
  /** The bytes of a manifest, which match its digest: what a public one names is public. */
  seen(digest: Digest, manifest: Uint8Array): void;
  /** Blobs held and their bytes, and how many files wait to be hashed. */
  totals(): { readonly blobs: number; readonly bytes: number; readonly waiting: number };
  /** Ends its reads and lets go of everything. */
  close(): Promise<void>;
}

/** Begins to follow the places, there or not. @throws AgentError STORE_UNWRITABLE */
export function openAlso(components: AlsoComponents, { directory, places, recheck }: AlsoInit): Also {
  const { store: own, logger, now = Date.now, metrics, sourceOf = onDisk } = components;
  const index = openIndex(directory);
  index.keepRoots(new Set(places.map(({ path }) => path)));
  const activity = new Activity();
  let hasher: IdleHasher | undefined;
  let face: StoreAndAlso | undefined;
  const around = (digest: Digest, change: () => void) => (face === undefined ? change() : face.around(digest, change));
  const ledger = new Ledger({ index, logger, now, around, onWaiting: () => hasher?.wake() }, recheck);
  const publicity = new Publicity({ index, logger, around });
  const readers = new AlsoReaders({ ledger, logger, now, metrics }, recheck);
  face = new StoreAndAlso({ own, ledger, publicity, readers, activity, logger });
  const followers = places.map((place) => {
    const at = { source: sourceOf(place), isShared: place.share === 'all' };
    return new Follower({ place: at, ledger, logger });
  });
  const thread = createHashThread();

  return {
    store: face,
    hash(isBusy) {
      hasher ??= new IdleHasher({ ledger, thread, logger, now, isBusy: () => activity.isBusy || isBusy() });
    },
    named: (digest) => publicity.named(digest),
    seen: (digest, manifest) => publicity.seen(digest, manifest),
    totals: () => ledger.totals(),
    async close() {
      face.leave();
      await Promise.all([...followers.map((follower) => follower.close()), hasher?.close(), readers.close()]);
      await thread.close();
      index.close();
    },
  };
}

function openIndex(directory: string): AlsoIndex {
  try {
    return openAlsoIndex(join(directory, 'also.sqlite'));
  } catch (error) {
    throw unwritable(directory, error);
  }
}

function onDisk({ kind, path }: AlsoPlace): Source {
  return kind === 'containerd' ? containerdContent(path) : ociLayout(path);
}
