import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import type { Account } from './account.ts';
import type { Candidate } from './eviction.ts';
import type { Files } from './files.ts';
import type { Holdings } from './holdings.ts';
import { Lanes } from './lanes.ts';
import type { Layout } from './layout.ts';
import { measurePartial } from './measure.ts';
import type { Readers } from './readers.ts';
import type { Turns } from './turns.ts';

/**
 * Files that are unlinked at once: of 1 GiB it takes ext4 some 200 ms, for which it has one of libuv's four threads, and
 * pulls need them too.
 */
const UNLINKS = 2;

export interface RemovalComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly holdings: Holdings;
  readonly readers: Readers;
  readonly turns: Turns;
  readonly account: Account;
  readonly logger: Logger;
  /** Whether the digest is on its way in: then what is noted of it stays. */
  isComing(digest: Digest): boolean;
}

/** Lets go of blobs and of what is left of partials: first in the index, then on disk. */
export class Removal {
  readonly #components: RemovalComponents;
  readonly #lanes = new Lanes(UNLINKS);

  constructor(components: RemovalComponents) {
    this.#components = components;
  }

  /** Forgets a blob at once and removes its file. @returns whether it was held @throws what the file system threw */
  async remove(digest: Digest): Promise<boolean> {
    const record = this.#components.holdings.drop(digest);
    if (record === undefined) return false;
    await this.#removeBlob(digest, record.size);
    return true;
  }

  /**
   * Forgets what is left of a partial that nobody has open, and removes it. @returns bytes of the disk
   * @throws what the file system threw; then it is left as before
   */
  async removeLeft(digest: Digest): Promise<number> {
    const { account } = this.#components;
    const leftover = account.leftover(digest);
    if (leftover === undefined) return 0;
    account.leave(digest, undefined);
    await this.#removePartial(digest, leftover.room);
    return leftover.room;
  }

  /** Forgets `victims` at once, and removes their files. @returns for each when its file is gone; never rejects */
  evict(victims: readonly Candidate[]): Promise<void>[] {
    const { account, holdings, logger } = this.#components;
    holdings.dropAll(victims.filter(({ kind }) => kind === 'blob').map(({ digest }) => digest));
    return victims.map(({ digest, kind, room }) => {
      if (kind === 'partial') account.leave(digest, undefined);
      const removed = kind === 'blob' ? this.#removeBlob(digest, room) : this.#removePartial(digest, room);
      return removed.catch((error) => logger.warn({ err: error, digest }, 'what was evicted cannot be removed'));
    });
  }

  async #removeBlob(digest: Digest, size: number): Promise<void> {
    const { account, files, layout, readers, turns } = this.#components;
    const left = account.leaves(size);
    const lastReader = readers.forget(digest);
    try {
      await turns.run(digest, () => this.#lanes.run(() => files.rm(layout.blob(digest))));
      if (lastReader !== undefined) void lastReader.then(account.lingers(size));
    } catch (error) {
      // The next start removes it: no row tells of it any more.
      account.lingers(size);
      throw error;
    } finally {
      left();
    }
    this.#forgetPrivate(digest);
  }

  async #removePartial(digest: Digest, room: number): Promise<void> {
    const { account, files, layout, turns } = this.#components;
    const left = account.leaves(room);
    const unlink = () =>
      this.#lanes.run(async () => {
        // The bytes first: a journal that tells of none does no harm, and bytes without one are removed at the start.
        await files.rm(layout.partial(digest));
        await files.rm(layout.journal(digest));
      });
    try {
      await turns.run(digest, unlink);
    } catch (error) {
      account.leave(digest, await measurePartial(files, layout, digest).catch(() => undefined));
      throw error;
    } finally {
      left();
    }
    this.#forgetPrivate(digest);
  }

  /** Unless it is on its way in again, by whoever noted it before. */
  #forgetPrivate(digest: Digest): void {
    const { holdings, isComing } = this.#components;
    if (!isComing(digest) && holdings.get(digest) === undefined) holdings.forgetPrivate(digest);
  }
}
