import { isBlobSize } from '../../../protocol/chunks.ts';
import { MAX_MEDIA_TYPE, tagStatement } from '../../../protocol/tag-record.ts';
import type { Repository } from '../../oci/reference.ts';
import type { ContentComponents } from '../init.ts';
import type { TagTeller } from '../ports.ts';
import { isAnswerTo } from './accept.ts';
import type { TagRecord } from './ports.ts';

/**
 * What this agent tells peers that tags are: what it found upstream itself, signed, and of that only what names a manifest
 * that it would give them too.
 * @param mayBePrivate whether what comes from there is not for peers: then they do not hear what its tags are either
 */
export function tagTeller(
  { tags, store, swarm, now = Date.now }: Pick<ContentComponents, 'tags' | 'store' | 'swarm' | 'now'>,
  mayBePrivate: (repository: Repository) => boolean,
): TagTeller {
  const isForPeers = ({ digest, mediaType, size, checkedAt }: TagRecord) =>
    store.find(digest) !== undefined &&
    !store.isPrivate(digest) &&
    // A registry may call it what it likes, but what breaks the protocol is struck.
    mediaType.length > 0 &&
    mediaType.length <= MAX_MEDIA_TYPE &&
    isBlobSize(size) &&
    // From before the clock was put back: nobody knows how old it is.
    checkedAt <= now();

  return (asked) => {
    const { registry, repository } = asked;
    if (mayBePrivate({ registry, name: repository })) return undefined;
    const record = tags.peek(asked).find((known) => isAnswerTo(known, asked.accept) && isForPeers(known));
    if (record === undefined) return undefined;
    const { etag: _, ...checked } = record;
    return { ...checked, signer: swarm.peerId, signature: swarm.sign(tagStatement(asked, checked)) };
  };
}
