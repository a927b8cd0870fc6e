import { setTimeout as delay } from 'node:timers/promises';
import type { ControlAnswer, ControlRequest } from '../../../protocol/messages.ts';
import type { TagTeller } from '../ports.ts';
import { createTagPaces } from './paces.ts';

type TagQuestion = Extract<ControlRequest, { type: 'tag' }>;

/** Answers what peers ask of tags, as the one who knows them tells. */
export interface TagAnswering {
  /** Who is asked from now on; until then this agent knows no tag. */
  by(teller: TagTeller): void;
  /**
   * The answer to a question of `peer`, whose streams share one pace: who asks more than it may is answered, and so read,
   * more slowly. @throws the signal's reason
   */
  answer(peer: string, question: TagQuestion, signal: AbortSignal): Promise<ControlAnswer>;
}

/** @param now monotonic, ms */
export function createTagAnswering(now: () => number): TagAnswering {
  const paceOf = createTagPaces();
  let tell: TagTeller = () => undefined;
  return {
    by(teller) {
      tell = teller;
    },
    async answer(peer, { id, registry, repository, tag, accept }, signal) {
      const wait = paceOf(peer).take(now());
      if (wait > 0) await delay(wait, undefined, { signal });
      const told = tell({ registry, repository, tag, accept });
      if (told === undefined) return { type: 'missing', id };
      const { digest, mediaType, size, checkedAt, signer, signature } = told;
      return { type: 'tag', id, accept: told.accept, digest, mediaType, size, checkedAt, mark: [signer, signature] };
    },
  };
}
