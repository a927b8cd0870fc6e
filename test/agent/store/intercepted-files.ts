import type { BigIntStats } from 'node:fs';
import { type Files, type OpenFile, systemFiles } from '../../../agent/store/files.ts';

/** One file call, before it is made. */
export interface Call {
  readonly kind: Exclude<keyof Files | keyof OpenFile, 'fd'>;
  readonly path: string;
  /** Of a rename. */
  readonly to?: string;
  /** Of an open. */
  readonly flags?: string;
  /** Of a write; of a truncate, the length. */
  readonly position?: number;
  readonly bytes?: Uint8Array;
}

/** Makes a call, or does not. `go` may be told to read or write so many bytes at most. */
export type Around = <Result>(call: Call, go: (most?: number) => Promise<Result>) => Promise<Result>;

/** The system's file calls, each through `around`; `beforeNow` is told of the one that does not wait. */
export function interceptedFiles(around: Around, beforeNow: (call: Call) => void = () => {}): Files {
  return {
    open: (path, flags) =>
      around({ kind: 'open', path, flags }, async () =>
        interceptedFile(await systemFiles.open(path, flags), path, around),
      ),
    rename: (from, to) => around({ kind: 'rename', path: from, to }, () => systemFiles.rename(from, to)),
    rm: (path) => around({ kind: 'rm', path }, () => systemFiles.rm(path)),
    mkdir: (path, mode) => around({ kind: 'mkdir', path }, () => systemFiles.mkdir(path, mode)),
    async *readdir(path) {
      yield* await around({ kind: 'readdir', path }, async () => systemFiles.readdir(path));
    },
    stat: (path) => around({ kind: 'stat', path }, () => systemFiles.stat(path)),
    sizeNow(path) {
      beforeNow({ kind: 'sizeNow', path });
      return systemFiles.sizeNow(path);
    },
    statfs: (path) => around({ kind: 'statfs', path }, () => systemFiles.statfs(path)),
    access: (path, mode) => around({ kind: 'access', path }, () => systemFiles.access(path, mode)),
  };
}

function interceptedFile(file: OpenFile, path: string, around: Around): OpenFile {
  return {
    fd: file.fd,
    read: (into, offset, length, position) =>
      around({ kind: 'read', path, position }, (most = length) =>
        file.read(into, offset, Math.min(length, most), position),
      ),
    write: (bytes, offset, length, position) =>
      around({ kind: 'write', path, position, bytes: bytes.subarray(offset, offset + length) }, (most = length) =>
        file.write(bytes, offset, Math.min(length, most), position),
      ),
    truncate: (length) => around({ kind: 'truncate', path, position: length }, () => file.truncate(length)),
    sync: () => around({ kind: 'sync', path }, () => file.sync()),
    datasync: () => around({ kind: 'datasync', path }, () => file.datasync()),
    stat: (options): Promise<BigIntStats> => around({ kind: 'stat', path }, () => file.stat(options)),
    close: () => around({ kind: 'close', path }, () => file.close()),
  };
}
