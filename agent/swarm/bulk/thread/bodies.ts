import { createHash, type Hash } from 'node:crypto';
import { BODY_HEAD_LENGTH, decodeBodyHead } from '../../../../protocol/bulk.ts';
import type { SharedBytes } from './messages.ts';

/**
 * So much of a body is hashed at a time: often enough that little is left to hash when its last byte has come, rarely
 * enough that the calls cost nothing beside the walk through memory that is in the cache still. Bytes.
 */
const HASH_EVERY = 256 * 1024;

/** Bodies asked for on one lane at a time, those that nobody wants any more among them. */
const MAX_BODIES = 256;

interface Body {
  readonly length: number;
  /** Where it goes; undefined once nobody wants it. */
  room: Uint8Array | undefined;
  /** What was allowed to be read with it. Bytes. */
  readonly allowed: number;
  at: number;
  readonly sum: Hash;
  /** What of it is hashed. Bytes. */
  summed: number;
}

/** The bodies that come on one lane: bytes in, whole chunks out. Pure but for the memory it writes to. */
export class Bodies {
  readonly #bodies = new Map<number, Body>();
  readonly #head = new Uint8Array(BODY_HEAD_LENGTH);
  #headLength = 0;
  /** How many bytes of bodies may be read still, whichever comes first; below zero where more came in one read. */
  #credit = 0;
  /** The one whose bytes come now. */
  #current: { readonly tag: number; readonly body: Body } | undefined;
  readonly #onTaken: (tag: number, sha256: Uint8Array | undefined) => void;
  readonly #catchUp: () => void;

  /**
   * @param onTaken told of each body that is whole, with its hash where it is wanted
   * @param catchUp hears at once what the main thread has told by now: a quick holder's body may be read before word that
   *   it is wanted
   */
  constructor(onTaken: (tag: number, sha256: Uint8Array | undefined) => void, catchUp: () => void) {
    this.#onTaken = onTaken;
    this.#catchUp = catchUp;
  }

  /** Whether no more may be read for now. A head may be at any time. */
  get isHeld(): boolean {
    return this.#current !== undefined && this.#credit <= 0;
  }

  /**
   * @param allowed bytes that may be read on its account at once
   * @throws Error where too many are under way
   */
  add(tag: number, { memory, offset, length }: SharedBytes, allowed: number): void {
    if (this.#bodies.size >= MAX_BODIES || this.#bodies.has(tag)) throw new Error('too many bodies are asked for');
    const room = new Uint8Array(memory, offset, length);
    this.#bodies.set(tag, { length, room, allowed, at: 0, sum: createHash('sha256'), summed: 0 });
    this.#credit += allowed;
  }

  allow(bytes: number): void {
    this.#credit += bytes;
  }

  /** Its bytes are dropped from now on. */
  abandon(tag: number): void {
    const body = this.#bodies.get(tag);
    if (body !== undefined) body.room = undefined;
  }

  /** It does not come. */
  cancel(tag: number): void {
    // Once it has begun it has to come to its end: the next body is behind it.
    if (this.#current?.tag === tag) {
      this.abandon(tag);
      return;
    }
    this.#credit -= this.#bodies.get(tag)?.allowed ?? 0;
    this.#bodies.delete(tag);
  }

  /** Takes what came, and need not be kept after. @throws Error where it is no body that was asked for */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      at += this.#current === undefined ? this.#feedHead(bytes.subarray(at)) : this.#feedBody(this.#current, bytes, at);
    }
  }

  #feedHead(bytes: Uint8Array): number {
    const part = bytes.subarray(0, BODY_HEAD_LENGTH - this.#headLength);
    this.#head.set(part, this.#headLength);
    this.#headLength += part.length;
    if (this.#headLength < BODY_HEAD_LENGTH) return part.length;
    this.#headLength = 0;
    const { tag, length } = decodeBodyHead(this.#head);
    if (!this.#bodies.has(tag)) this.#catchUp();
    const body = this.#bodies.get(tag);
    if (body === undefined) throw new Error('a body that nobody asked for');
    if (body.length !== length) throw new Error('a body of another length');
    this.#current = { tag, body };
    if (length === 0) this.#end(tag, body);
    return part.length;
  }

  #feedBody({ tag, body }: { tag: number; body: Body }, bytes: Uint8Array, at: number): number {
    const part = bytes.subarray(at, at + body.length - body.at);
    body.room?.set(part, body.at);
    body.at += part.length;
    this.#credit -= part.length;
    if (body.at === body.length) this.#end(tag, body);
    else if (body.at - body.summed >= HASH_EVERY) sumOn(body);
    return part.length;
  }

  #end(tag: number, body: Body): void {
    this.#bodies.delete(tag);
    this.#current = undefined;
    sumOn(body);
    this.#onTaken(tag, body.room && body.sum.digest());
  }
}

/** Hashes on to where the body has come. */
function sumOn(body: Body): void {
  if (body.room !== undefined) body.sum.update(body.room.subarray(body.summed, body.at));
  body.summed = body.at;
}
