import { type AskedTag, type SignedTag, tagStatement } from '../../../protocol/tag-record.ts';
import { isAnswerTo } from './accept.ts';

/** What clocks of one LAN may differ by: who dates further ahead would win over everybody, for as long. Milliseconds. */
export const MAX_AHEAD = 60_000;

/** What a peer answered when it was asked what a tag is. */
export interface PeersAnswer {
  readonly peer: string;
  readonly tag: SignedTag;
}

/**
 * Why an answer does not count. `relayed`: it is another's, of whom nobody knows whether it is trusted, or when it said
 * so. `forged`: the signature is not under this answer to this question. `unfitting`: it is nothing for who asks.
 * `ahead`: it is dated further ahead than clocks differ.
 */
export type Flaw = 'relayed' | 'forged' | 'unfitting' | 'ahead';

/**
 * What is wrong with an answer of a peer that is trusted; undefined where nothing is.
 * @param now milliseconds since the epoch
 * @param verify as in {@link Swarm.verify}
 */
export function flawOf(
  { peer, tag }: PeersAnswer,
  asked: AskedTag,
  now: number,
  verify: (signer: string, statement: Uint8Array, signature: Uint8Array) => boolean,
): Flaw | undefined {
  if (tag.signer !== peer) return 'relayed';
  if (!verify(tag.signer, tagStatement(asked, tag), tag.signature)) return 'forged';
  if (!isAnswerTo(tag, asked.accept)) return 'unfitting';
  return tag.checkedAt - now > MAX_AHEAD ? 'ahead' : undefined;
}

/** The answer that was checked last; of two at once the first. */
export function newestOf(tags: readonly SignedTag[]): SignedTag | undefined {
  let newest: SignedTag | undefined;
  for (const tag of tags) if (newest === undefined || tag.checkedAt > newest.checkedAt) newest = tag;
  return newest;
}

/** Whether a peer's answer that is believed is newer than what this agent found itself. */
export function isNewer(tag: Pick<SignedTag, 'checkedAt'>, own: Pick<SignedTag, 'checkedAt'>, now: number): boolean {
  // One's own record of the future is one from before the clock was put back: nobody knows how old it is.
  return own.checkedAt > now || tag.checkedAt > own.checkedAt;
}

/** How long ago it was checked, as far as this agent's clock can tell. Milliseconds. */
export function ageOf({ checkedAt }: Pick<SignedTag, 'checkedAt'>, now: number): number {
  return Math.max(0, now - checkedAt);
}
