import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type ListeningSocket, parseSocketTable } from './socket-table.ts';

/** A process of this host. */
export interface Process {
  readonly pid: number;
  /** Its name, of at most 15 characters. */
  readonly name: string;
}

/** What /proc tells of a host; without the rights for it, less. */
export interface Processes {
  /** The sockets that listen; undefined where they cannot be seen. */
  listening(): readonly ListeningSocket[] | undefined;
  /** Whose socket it is; undefined where it cannot be seen. */
  ownerOf(socket: ListeningSocket): Process | undefined;
  /** The processes with one of these names. */
  named(names: readonly string[]): readonly Process[];
  /** The network that a process lives in, or this one; undefined where it cannot be seen. */
  networkOf(process?: Process): string | undefined;
}

/** @param proc where /proc is */
export function processesIn(proc: string): Processes {
  const pids = () => attempt(() => readdirSync(proc).filter((name) => /^[0-9]+$/.test(name))) ?? [];
  const nameOf = (pid: string) => attempt(() => readFileSync(join(proc, pid, 'comm'), 'utf8').trim());
  return {
    listening: () => {
      const tables = ['tcp', 'tcp6'].map((name) => attempt(() => readFileSync(join(proc, 'net', name), 'utf8')));
      if (tables.every((table) => table === undefined)) return undefined;
      return tables.flatMap((table) => parseSocketTable(table ?? ''));
    },
    ownerOf: ({ inode }) => {
      const link = `socket:[${inode}]`;
      for (const pid of pids()) {
        const folder = join(proc, pid, 'fd');
        const descriptors = attempt(() => readdirSync(folder)) ?? [];
        // A process may end while it is looked at.
        if (!descriptors.some((one) => attempt(() => readlinkSync(join(folder, one))) === link)) continue;
        return { pid: Number(pid), name: nameOf(pid) ?? 'a process' };
      }
      return undefined;
    },
    named: (names) =>
      pids().flatMap((pid) => {
        const name = nameOf(pid);
        return name !== undefined && names.includes(name) ? [{ pid: Number(pid), name }] : [];
      }),
    networkOf: (process) => attempt(() => readlinkSync(join(proc, String(process?.pid ?? 'self'), 'ns', 'net'))),
  };
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
