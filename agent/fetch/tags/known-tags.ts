import type { Logger } from 'pino';
import type { Digest } from '../../../protocol/digest.ts';
import { isAccepted, isAnswerTo } from './accept.ts';
import type { TagName, TagRecord, TagRecords } from './ports.ts';

/** What this agent knows of tags. `wanted` is what a client accepts, as {@link acceptText} writes it. */
export class KnownTags {
  readonly #records: TagRecords;
  readonly #logger: Logger;

  constructor(records: TagRecords, logger: Logger) {
    this.#records = records;
    this.#logger = logger;
  }

  /**
   * What upstream said last to somebody whose answer is this client's too.
   * @param now milliseconds since the epoch
   */
  answerTo(name: TagName, wanted: string | undefined, now: number): TagRecord | undefined {
    if (wanted === undefined) return undefined;
    const answers = this.#records.find(name).filter((record) => isAnswerTo(record, wanted));
    // Of the future are those from before the clock was put back: what was asked since is newer.
    return answers.find(({ checkedAt }) => checkedAt <= now) ?? answers[0];
  }

  /** What was checked last of the tag, whoever asked. */
  last(name: TagName): TagRecord | undefined {
    return this.#records.find(name)[0];
  }

  /** The digest that had this validator. A weak one may stay while bytes change (RFC 9110, 8.8.1). */
  digestOf(name: TagName, wanted: string | undefined, etag: string | undefined): Digest | undefined {
    if (wanted === undefined || etag === undefined || etag.startsWith('W/')) return undefined;
    return this.#records.find(name).find((record) => record.etag === etag && isAnswerTo(record, wanted))?.digest;
  }

  /** @param now milliseconds since the epoch */
  remember(name: TagName, record: TagRecord, now: number): void {
    const before = this.#records.find(name).find(({ accept }) => accept === record.accept);
    // A slow answer may come after a later question's; a record of the future is from before the clock was put back.
    if (before !== undefined && before.checkedAt > record.checkedAt && before.checkedAt <= now) return;
    this.#records.put(name, record);
    if (before === undefined || before.digest === record.digest) return;
    this.#logger.info({ ...name, was: before.digest, is: record.digest }, 'tag moved');
  }

  /** Upstream denies the tag to a client that accepts `wanted`: what would have been an answer to it holds no more. */
  forget(name: TagName, wanted: string | undefined): void {
    for (const { accept, mediaType } of this.#records.find(name)) {
      // A registry that has an index alone says 404 to who does not accept an index.
      if (wanted !== undefined && isAccepted(mediaType, wanted)) this.#records.drop(name, accept);
    }
  }

  /** Forgets what was told to others than those who accept `wanted`. */
  forgetOthers(name: TagName, wanted: string): void {
    for (const { accept } of this.#records.find(name)) {
      if (accept !== wanted) this.#records.drop(name, accept);
    }
  }
}
