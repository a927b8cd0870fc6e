import { rmSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { NotFoundError } from '@libp2p/interface';
import { BaseDatastore } from 'datastore-core';
import { type Datastore, Key, type KeyQuery, type Pair, type Query } from 'interface-datastore';
import { AgentError } from '../errors.ts';

/** Where the DHT keeps what others tell it to keep. */
const DHT_PREFIX = '/dht/';

/** DHT records kept: whoever would fill the disk is refused beyond that. */
const MAX_DHT_RECORDS = 200_000;

/** Rows read at a time; between two, others may write. */
const PAGE = 256;

export interface SwarmDatastore extends Datastore {
  close(): void;
}

/**
 * libp2p's datastore on node:sqlite. Prefix queries are ranges of the primary key: the in-memory store that comes with
 * libp2p scans all keys at every DHT look-up (19 ms at 10,000 records).
 *
 * @param path undefined keeps it in memory. The content can be had again: a file that is damaged is made anew.
 * @throws AgentError STORE_UNWRITABLE
 */
export function openDatastore(path: string | undefined): SwarmDatastore {
  if (path === undefined) return new SqliteDatastore(':memory:');
  try {
    return new SqliteDatastore(path);
  } catch {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
    try {
      return new SqliteDatastore(path);
    } catch (error) {
      throw new AgentError('STORE_UNWRITABLE', `cannot write the peers’ database ${path}`, { cause: error });
    }
  }
}

interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

class SqliteDatastore extends BaseDatastore implements SwarmDatastore {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #get: StatementSync;
  readonly #delete: StatementSync;
  readonly #page: StatementSync;
  #dhtRecords: number;

  constructor(path: string) {
    super();
    this.#database = new DatabaseSync(path);
    try {
      // A cache: after a crash the last writes may be gone, the file is whole.
      this.#database.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = OFF;
        CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
      `);
      this.#put = this.#database.prepare('INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)');
      this.#get = this.#database.prepare('SELECT value FROM entries WHERE key = ?');
      this.#delete = this.#database.prepare('DELETE FROM entries WHERE key = ?');
      this.#page = this.#database.prepare(
        `SELECT key, value FROM entries WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ${PAGE}`,
      );
      const count = this.#database.prepare('SELECT count(*) AS n FROM entries WHERE key >= ? AND key < ?');
      this.#dhtRecords = Number(count.get(DHT_PREFIX, endOf(DHT_PREFIX))?.n);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** @throws Error where the DHT already keeps as many records as it may */
  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const text = key.toString();
    const isNew = text.startsWith(DHT_PREFIX) && this.#get.get(text) === undefined;
    if (isNew && this.#dhtRecords >= MAX_DHT_RECORDS) throw new Error('the DHT keeps as many records as it may');
    this.#put.run(text, value);
    if (isNew) this.#dhtRecords += 1;
    return key;
  }

  override async get(key: Key): Promise<Uint8Array> {
    const row = this.#get.get(key.toString());
    // libp2p tells it apart by name.
    if (row === undefined) throw new NotFoundError('no such key');
    return row.value as Uint8Array;
  }

  override async has(key: Key): Promise<boolean> {
    return this.#get.get(key.toString()) !== undefined;
  }

  override async delete(key: Key): Promise<void> {
    const text = key.toString();
    const { changes } = this.#delete.run(text);
    if (text.startsWith(DHT_PREFIX)) this.#dhtRecords -= Number(changes);
  }

  override async *_all({ prefix = '' }: Query): AsyncGenerator<Pair> {
    for (const { key, value } of this.#range(prefix)) yield { key: new Key(key, false), value };
  }

  override async *_allKeys({ prefix = '' }: KeyQuery): AsyncGenerator<Key> {
    for (const { key } of this.#range(prefix)) yield new Key(key, false);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  *#range(prefix: string): Generator<Row> {
    let after = '';
    for (;;) {
      const rows = this.#page.all(after, prefix, endOf(prefix)) as unknown as Row[];
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      after = last.key;
    }
  }
}

/** Behind every key that starts with `prefix`: keys are ASCII. */
function endOf(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}
