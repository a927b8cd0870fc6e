import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { Files } from './files.ts';
import type { Holdings } from './holdings.ts';
import type { CheckCursor, InspectedRow } from './inspection-index.ts';
import type { Layout } from './layout.ts';
import type { Readers } from './readers.ts';
import { sameStamp, stampOf } from './stamp.ts';

/** A held blob, as who looks after the store sees it. */
export interface InspectedBlob extends InspectedRow {
  readonly isPrivate: boolean;
  readonly isPinned: boolean;
}

export interface InspectionComponents {
  readonly files: Pick<Files, 'stat'>;
  readonly layout: Layout;
  readonly holdings: Holdings;
  readonly readers: Readers;
  /** Whether something is being stored. */
  isStoring(): boolean;
}

/** Looks at what is held without using it: nothing here changes the order in which blobs are evicted. */
export class Inspection {
  readonly #components: InspectionComponents;

  constructor(components: InspectionComponents) {
    this.#components = components;
  }

  /** undefined where it is not held. */
  blob(digest: Digest): InspectedBlob | undefined {
    const { holdings } = this.#components;
    if (holdings.get(digest) === undefined) return undefined;
    const row = holdings.index.inspection.get(digest);
    return row && this.#inspected(row);
  }

  /** Held blobs by digest, those after `after`; the last page is empty. */
  blobs(after: Digest | undefined, limit: number): readonly InspectedBlob[] {
    return this.#page((index, last) => index.page(last?.digest ?? after, limit));
  }

  /** The same of manifests. */
  manifests(after: Digest | undefined, limit: number): readonly InspectedBlob[] {
    return this.#page((index, last) => index.manifests(last?.digest ?? after, limit));
  }

  /** What was last checked at `until` (milliseconds since the epoch) or before, the longest ago first. */
  checkedUntil(until: number, after: CheckCursor | undefined, limit: number): readonly InspectedBlob[] {
    return this.#page((index, last) => index.checkedUntil(until, last ?? after, limit));
  }

  /** Whether the file of a held blob no longer looks as it did when it was last checked. One `stat`. */
  async isTouched(digest: Digest): Promise<boolean> {
    const { files, holdings, layout } = this.#components;
    const record = holdings.get(digest);
    if (record === undefined) return false;
    try {
      return !sameStamp(stampOf(await files.stat(layout.blob(digest))), record.stamp);
    } catch {
      // Gone, or not to be had: the check says what it is.
      return true;
    }
  }

  /** All of a held blob of `size` bytes at most; undefined where it is not held, larger or no longer good. */
  async bytes(digest: Digest, size: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const record = this.#components.holdings.get(digest);
    if (record === undefined || record.size > size) return undefined;
    const pieces: Uint8Array[] = [];
    try {
      const reading = this.#components.readers.read(digest, 0, record.size, signal, { isUse: false });
      for await (const piece of reading) pieces.push(Uint8Array.from(piece));
    } catch (error) {
      if (isAgentError(error, 'BLOB_ROTTEN')) return undefined;
      throw error;
    }
    return Buffer.concat(pieces);
  }

  /**
   * Reads all of a held blob and matches it, whenever that was last done. One that does not match is dropped by then.
   * @param pace waits before so many bytes more are read
   * @returns `gone` where it is not held, or no longer
   * @throws what the file system threw; the signal's reason
   */
  async check(
    digest: Digest,
    pace: (bytes: number) => Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<'good' | 'rotten' | 'gone'> {
    const { holdings, readers } = this.#components;
    const record = holdings.get(digest);
    if (record === undefined) return 'gone';
    try {
      const reading = readers.read(digest, 0, record.size, signal, { isUse: false, isChecked: true });
      for await (const piece of reading) await pace(piece.length);
      return 'good';
    } catch (error) {
      if (isAgentError(error, 'BLOB_ROTTEN')) return 'rotten';
      if (error instanceof AgentError) throw error;
      if (holdings.get(digest) === undefined) return 'gone';
      throw error;
    }
  }

  /** Whether somebody takes something in or reads: who only looks after the store gives way. */
  isBusy(): boolean {
    return this.#components.isStoring() || this.#components.readers.isUsed;
  }

  /** Rows of what is really held; none only where none are left. */
  #page(
    read: (index: Holdings['index']['inspection'], last: InspectedRow | undefined) => InspectedRow[],
  ): readonly InspectedBlob[] {
    const { holdings } = this.#components;
    if (holdings.isClosed) return [];
    holdings.flush();
    for (let last: InspectedRow | undefined; ; ) {
      const rows = read(holdings.index.inspection, last);
      const held = rows.filter(({ digest }) => holdings.get(digest) !== undefined);
      last = rows.at(-1);
      if (held.length > 0 || last === undefined) return held.map((row) => this.#inspected(row));
    }
  }

  #inspected(row: InspectedRow): InspectedBlob {
    const { index } = this.#components.holdings;
    return { ...row, isPrivate: index.isPrivate(row.digest), isPinned: index.pins.isPinned(row.digest) };
  }
}
