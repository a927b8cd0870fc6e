import { CHUNK_SIZE } from './independent-blob.ts';
import { type Message, sha256, text } from './independent-wire.ts';

/*
 * "I have it" for everything, as "Announcements" and "Questions" of docs/protocol.md let one say it of whole blobs; see
 * hostile-taker.ts for what may be imported here.
 */

/** One of `hold`: digest, size, root. */
type Held = [digest: string, size: number, root: Uint8Array];

export interface Boasts {
  /** What it says to everybody since it heard a message. @returns undefined where that is no news */
  news(message: Message): Message | undefined;
  /** What it says to whoever sent a message, though that has heard it before. @returns undefined where it has no reason */
  again(message: Message): Message | undefined;
  /** The answer to `have`; undefined where it does not claim the blob. */
  holding(id: unknown, digest: string): Message | undefined;
}

/**
 * @param isRash it makes up the root of what nobody has said `hold` of, until somebody does: the same root as all who are
 *   rash, so that several of them are of one mind. Who is not rash only says what others said, which cannot be proved
 *   false.
 */
export function createBoasts(isRash: boolean): Boasts {
  const claims = new Map<string, Held>();

  /** Claims a blob, where it does, with what is known of it since. @returns whether it claims more than before */
  const claim = (digest: string, size?: unknown, root?: unknown): boolean => {
    const [, oldSize, oldRoot] = claims.get(digest) ?? [];
    const newSize = typeof size === 'number' ? size : (oldSize ?? CHUNK_SIZE);
    const newRoot = root instanceof Uint8Array ? root : (oldRoot ?? (isRash ? sha256(Buffer.from(digest)) : undefined));
    if (newRoot === undefined) return false;
    claims.set(digest, [digest, newSize, newRoot]);
    return oldRoot === undefined || newSize !== oldSize || !Buffer.from(newRoot).equals(oldRoot);
  };
  const hold = (digests: readonly string[]): Message | undefined => {
    const blobs = digests.map((digest) => claims.get(digest)).filter((held) => held !== undefined);
    return blobs.length === 0 ? undefined : { type: 'hold', blobs };
  };

  return {
    news({ type, digest, size, blobs }) {
      const isTaken = type === 'taking' || type === 'claim';
      const told: unknown[][] = isTaken ? [[digest, size]] : type === 'hold' ? (blobs as unknown[][]) : [];
      return hold(told.filter(([of, long, root]) => claim(text(of), long, root)).map(([of]) => text(of)));
    },
    again: ({ type, digest }) => hold(type === 'taking' || type === 'claim' ? [text(digest)] : []),
    holding(id, digest) {
      if (!claims.has(digest)) claim(digest);
      const held = claims.get(digest);
      return held && { type: 'holding', id, size: held[1], root: held[2] };
    },
  };
}
