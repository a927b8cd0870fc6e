import type { AskedTag, SignedTag } from '../../../protocol/tag-record.ts';
import { AgentError } from '../../errors.ts';
import type { ControlClient } from '../control/client.ts';

/**
 * What a neighbour says that a tag is; undefined where it does not know, or not now. Nothing of it is checked but its form.
 * @throws AgentError PEER_PROTOCOL for an answer to another question; what {@link ControlClient.ask} throws
 */
export async function askTag(
  control: Pick<ControlClient, 'ask'>,
  { registry, repository, tag, accept }: AskedTag,
  signal: AbortSignal,
): Promise<SignedTag | undefined> {
  const answer = await control.ask({ type: 'tag', registry, repository, tag, accept }, signal);
  if (answer.type === 'missing' || answer.type === 'busy') return undefined;
  if (answer.type !== 'tag') throw new AgentError('PEER_PROTOCOL', 'an answer to another question');
  const { type: _type, id: _id, mark, ...checked } = answer;
  return { ...checked, signer: mark[0], signature: mark[1] };
}
