import { type ChunkMap, chunkHash, decodeChunkMap } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { BlobRecord } from './blob-index.ts';
import type { Files, OpenFile } from './files.ts';
import { fill, roomIn } from './pieces.ts';
import type { Pass } from './recheck.ts';
import { type Stamp, stampOf } from './stamp.ts';
import { sumOf } from './sums.ts';

/** Bytes of a piece that needs no check: large enough that the calls cost little, small enough for many slow clients. */
const PIECE = 512 * 1024;

/** What a reader tells of what it finds. */
export interface Findings {
  /** Drops the blob and keeps what is good of it; resolves when that is done. */
  rotten(why: string): Promise<void>;
  /** The pass over a file that looks like `stamp`, where the blob is due for a recheck. */
  passOf(record: BlobRecord, stamp: Stamp, layout: ChunkLayout): Pass | undefined;
  /** All chunks of `pass` matched, and by now the file looks like `stamp`. */
  passed(digest: Digest, pass: Pass, stamp: Stamp): void;
}

export function rottenError(digest: Digest): AgentError {
  return new AgentError('BLOB_ROTTEN', `${digest} no longer matches its digest and was dropped`);
}

/** A held blob, open for one reader. */
export interface BlobFile {
  /**
   * What fetches the bytes from `start` to before `end`; each piece was checked where a check is due. A piece is
   * overwritten by the one after the next: two are in memory, one being used and one being read.
   */
  pieces(start: number, end: number): Iterable<() => Promise<Uint8Array>>;
  /** Chunk `index`, checked where a check is due; at the start of `into` where that is long enough. */
  chunk(index: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Waits for the read under way. More than once is harmless. */
  close(): Promise<void>;
}

/**
 * Opens the file of a held blob and decides whether it must be checked.
 * @param encodedMap is asked for only where it must
 * @throws AgentError BLOB_ROTTEN where its file is gone or of another size
 */
export async function openBlobFile(
  files: Files,
  path: string,
  record: BlobRecord,
  encodedMap: () => Uint8Array | undefined,
  findings: Findings,
): Promise<BlobFile> {
  let handle: OpenFile;
  try {
    handle = await files.open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await findings.rotten('its file is gone');
    throw rottenError(record.digest);
  }
  return await blobFileOf(handle, record, encodedMap, findings);
}

/** The same for a file that is open; it is closed where this throws. @throws AgentError BLOB_ROTTEN */
export async function blobFileOf(
  handle: OpenFile,
  record: BlobRecord,
  encodedMap: () => Uint8Array | undefined,
  findings: Findings,
): Promise<BlobFile> {
  const rotten = async (why: string) => {
    await findings.rotten(why);
    return rottenError(record.digest);
  };
  try {
    const stamp = stampOf(await handle.stat({ bigint: true }));
    if (stamp.size !== BigInt(record.size)) throw await rotten(`its file has ${stamp.size} bytes`);
    const layout = layoutOf(record.size);
    const pass = findings.passOf(record, stamp, layout);
    if (pass === undefined) return new OpenBlobFile(record.digest, layout, handle, findings, undefined);
    const encoded = encodedMap();
    const map = encoded && decodeChunkMap(encoded);
    if (map === undefined) throw await rotten('its chunk map is damaged');
    // Nothing of an empty blob can be wrong but its size.
    if (layout.count === 0) findings.passed(record.digest, pass, stamp);
    return new OpenBlobFile(record.digest, layout, handle, findings, { pass, map });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

interface Recheck {
  readonly pass: Pass;
  readonly map: ChunkMap;
}

/** Two buffers in turn, each made when it is first needed. */
function alternating(length: number): () => Uint8Array {
  const buffers: Uint8Array[] = [];
  let turn = 0;
  return () => {
    turn = 1 - turn;
    buffers[turn] ??= Buffer.allocUnsafeSlow(length);
    return buffers[turn] as Uint8Array;
  };
}

class OpenBlobFile implements BlobFile {
  readonly #digest: Digest;
  readonly #layout: ChunkLayout;
  readonly #handle: OpenFile;
  readonly #findings: Findings;
  readonly #recheck: Recheck | undefined;

  constructor(digest: Digest, layout: ChunkLayout, handle: OpenFile, findings: Findings, recheck: Recheck | undefined) {
    this.#digest = digest;
    this.#layout = layout;
    this.#handle = handle;
    this.#findings = findings;
    this.#recheck = recheck;
  }

  *pieces(start: number, end: number): Iterable<() => Promise<Uint8Array>> {
    const recheck = this.#recheck;
    // Two that are used again and again stay in the processor's cache: fresh memory for each costs more than the reading.
    const room = alternating(
      recheck === undefined ? Math.min(PIECE, end - start) : Math.min(this.#layout.chunkSize, this.#layout.size),
    );
    for (let at = start; at < end; ) {
      const from = at;
      const index = Math.floor(from / this.#layout.chunkSize);
      const first = chunkStart(this.#layout, index);
      const chunkEnd = Math.min(first + chunkLength(this.#layout, index), end);
      if (recheck === undefined || recheck.pass.isGood(index)) {
        const to = Math.min(from + PIECE, recheck === undefined ? end : chunkEnd);
        yield () => this.#stretch(from, to, room());
        at = to;
      } else {
        yield async () => (await this.#checked(index, recheck, room())).subarray(from - first, chunkEnd - first);
        at = chunkEnd;
      }
    }
  }

  chunk(index: number, into?: Uint8Array): Promise<Uint8Array> {
    const recheck = this.#recheck;
    if (recheck !== undefined && !recheck.pass.isGood(index)) return this.#checked(index, recheck, into);
    const start = chunkStart(this.#layout, index);
    return this.#stretch(start, start + chunkLength(this.#layout, index), into);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #checked(index: number, { pass, map }: Recheck, into?: Uint8Array): Promise<Uint8Array> {
    const start = chunkStart(this.#layout, index);
    const bytes = await this.#stretch(start, start + chunkLength(this.#layout, index), into);
    if (Buffer.compare(await sumOf('sha256', bytes), chunkHash(map, index)) !== 0) {
      await this.#findings.rotten(`chunk ${index} does not match`);
      throw rottenError(this.#digest);
    }
    if (pass.markGood(index)) {
      this.#findings.passed(this.#digest, pass, stampOf(await this.#handle.stat({ bigint: true })));
    }
    return bytes;
  }

  async #stretch(start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const bytes = roomIn(into, end - start);
    let why = 'its file was cut';
    try {
      if ((await fill(this.#handle, bytes, start)) === bytes.length) return bytes;
    } catch (error) {
      // A sector that cannot be read is rot as well.
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
      why = 'the disk cannot read it';
    }
    await this.#findings.rotten(why);
    throw rottenError(this.#digest);
  }
}
