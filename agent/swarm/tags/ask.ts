import type { AskedTag, SignedTag } from '../../../protocol/tag-record.ts';
import { AgentError } from '../../errors.ts';
import type { ControlClient } from '../control/client.ts';
import { createTagPaces } from './paces.ts';

/** A neighbour, as far as it is asked for tags. */
interface Asked {
  readonly id: string;
  readonly control: Pick<ControlClient, 'ask'>;
}

/**
 * What a neighbour says that a tag is; undefined where it does not know, or not now. Nothing of it is checked but its form.
 * @throws AgentError PEER_BUSY where it was asked as much as it answers, PEER_PROTOCOL for an answer to another question;
 *   what {@link ControlClient.ask} throws
 */
export type AskTag = (neighbour: Asked, asked: AskedTag, signal: AbortSignal) => Promise<SignedTag | undefined>;

/** @param now monotonic, ms */
export function createTagAsking(now: () => number): AskTag {
  const paceOf = createTagPaces();
  return async ({ id: peer, control }, { registry, repository, tag, accept }, signal) => {
    // What it reads no more would queue up before all else that is told to it, long after anybody waits for the answer.
    if (!paceOf(peer).tryTake(now())) throw new AgentError('PEER_BUSY', 'the peer is asked for enough tags');
    const answer = await control.ask({ type: 'tag', registry, repository, tag, accept }, signal);
    if (answer.type === 'missing' || answer.type === 'busy') return undefined;
    if (answer.type !== 'tag') throw new AgentError('PEER_PROTOCOL', 'an answer to another question');
    const { type: _type, id: _id, mark, ...checked } = answer;
    return { ...checked, signer: mark[0], signature: mark[1] };
  };
}
