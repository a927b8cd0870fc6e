import { LRUCache } from 'lru-cache';
import { createPace, type Pace } from '../fleet/pace.ts';
import { KNOWN_PEERS, TAG_QUESTION_BURST, TAG_QUESTION_RATE } from '../limits.ts';

/** The pace of questions for tags, for each peer. */
export function createTagPaces(): (peer: string) => Pace {
  const paces = new LRUCache<string, Pace>({ max: KNOWN_PEERS });
  return (peer) => {
    const pace = paces.get(peer) ?? createPace({ rate: TAG_QUESTION_RATE, burst: TAG_QUESTION_BURST });
    paces.set(peer, pace);
    return pace;
  };
}
