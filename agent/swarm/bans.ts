import { readFile, rename, stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { briefly } from '../errors.ts';
import { writeDurably } from './durable.ts';
import type { Reputation, ReputationSnapshot } from './reputation.ts';

/** The least time between two writes, however many strikes there are. ms. */
const WRITE_GAP = 1_000;

/** What is longer was not written here: 4,096 subjects take a quarter of it. Bytes. */
const MAX_LENGTH = 4 * 1024 * 1024;

/** Of a parser's words on a damaged file. Characters. */
const MAX_REASON = 200;

/** The file's own version, beside what it holds: another shape gets another number. */
const VERSION = 1;

const time = z.number().min(0);
const conduct = z.strictObject({
  strikes: z.number().int().min(0),
  weight: z.number().min(0),
  at: time,
  bannedUntil: time,
  slippedAt: time,
});
const file = z.strictObject({
  version: z.literal(VERSION),
  subjects: z.array(z.tuple([z.string().regex(/^(peer|address):[\x21-\x7e]{0,128}$/), conduct])),
});

/** Keeps strikes and bans over a restart. */
export interface Bans {
  /** Something was noted: it is written within {@link WRITE_GAP}. */
  changed(): void;
  /** Writes what is not yet written. Never rejects. */
  stop(): Promise<void>;
}

export interface BansComponents {
  readonly logger: Logger;
  readonly reputation: Pick<Reputation, 'snapshot' | 'restore'>;
}

export interface BansInit {
  /** undefined keeps nothing. */
  readonly path: string | undefined;
}

/**
 * Restores the reputation from the file, and keeps the file as the reputation changes. Neither a damaged file nor a
 * disk that takes none is worth an agent that does not start: both are one warning.
 */
export async function openBans(components: BansComponents, { path }: BansInit): Promise<Bans> {
  if (path === undefined) return { changed() {}, async stop() {} };
  const { logger, reputation } = components;
  try {
    reputation.restore(await readBans(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') await putAside(path, error, logger);
  }
  return new BansFile(components, path);
}

async function readBans(path: string): Promise<ReputationSnapshot> {
  if ((await stat(path)).size > MAX_LENGTH) throw new Error(`longer than ${MAX_LENGTH} bytes`);
  const parsed = file.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw new Error('not a list of bans');
  return parsed.data.subjects;
}

async function putAside(path: string, error: unknown, logger: Logger): Promise<void> {
  const aside = `${path}.broken`;
  const reason = (error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON);
  const isAside = await rename(path, aside).then(
    () => true,
    () => false,
  );
  logger.warn(
    { path, reason, ...(isAside && { aside }) },
    'the bans of earlier runs cannot be read; they are forgotten',
  );
}

class BansFile implements Bans {
  readonly #components: BansComponents;
  readonly #path: string;
  #timer: NodeJS.Timeout | undefined;
  #isChanged = false;
  #writing: Promise<void> | undefined;
  #warned = false;
  #stopped = false;

  constructor(components: BansComponents, path: string) {
    this.#components = components;
    this.#path = path;
  }

  changed(): void {
    this.#isChanged = true;
    if (this.#stopped || this.#timer !== undefined || this.#writing !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#write();
    }, WRITE_GAP);
    // The process need not wait for it: stop() writes what is left.
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#isChanged) await this.#write();
  }

  #write(): Promise<void> {
    this.#isChanged = false;
    this.#writing = this.#attempt().finally(() => {
      this.#writing = undefined;
      if (this.#isChanged) this.changed();
    });
    return this.#writing;
  }

  async #attempt(): Promise<void> {
    const { logger, reputation } = this.#components;
    const bytes = Buffer.from(JSON.stringify({ version: VERSION, subjects: reputation.snapshot() }));
    try {
      await writeDurably(bytes, { temporary: `${this.#path}.tmp`, path: this.#path, place: rename });
      this.#warned = false;
    } catch (error) {
      // Once, until it succeeds: a full disk would otherwise fill the log.
      if (!this.#warned) logger.warn({ path: this.#path, ...briefly(error) }, 'bans cannot be written');
      this.#warned = true;
    }
  }
}
