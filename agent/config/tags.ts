import { peerIdFromString } from '@libp2p/peer-id';
import { z } from 'zod';
import { isTagPattern } from '../oci/pattern.ts';
import { duration, mustBe } from './values.ts';

/** No timer waits for it. Milliseconds: ten years. */
const LONGEST_FRESH = 3650 * 86_400_000;

const A_PEER_ID = 'a peer id, 12D3KooW…, as `layerlan status` shows it';

const NO_PATTERN = 'must be a pattern of tags such as v1.* or *-nightly';

/** What `registries.<name>.tags` may hold. */
export const TAGS_SHAPE = {
  /**
   * How long what upstream said of a tag is not asked again; 0s: every request asks. A duration for all tags, or one for
   * each pattern: the pattern that says most counts. A list of patterns with milliseconds here.
   * @default 60s
   */
  fresh: freshTimes().prefault('60s'),
  /**
   * Patterns of tags that never move: once known they are not asked again.
   * @default []
   */
  immutable: z
    .array(
      z.string(mustBe('a pattern of tags')).refine(isTagPattern, { error: NO_PATTERN }),
      mustBe('a list of patterns'),
    )
    .default([]),
  /**
   * Whether what peers say that a tag is counts: while upstream cannot be asked, also in its place as long as it is
   * fresh, or not at all.
   * @default never
   */
  fromPeers: z.enum(['never', 'when-offline', 'always'], mustBe('never, when-offline or always')).default('never'),
  /**
   * Peer ids of agents that are believed although no network key keeps strangers out.
   * @default []
   */
  trust: z
    .array(z.string(mustBe(A_PEER_ID)).refine(isPeerId, mustBe(A_PEER_ID)), mustBe('a list of peer ids'))
    .default([]),
};

/** What is checked of `registries` and `peers` together. */
interface Believed {
  readonly peers: { readonly networkKeyFile: string | null };
  readonly registries: ReadonlyMap<string, { readonly tags: Pick<Tags, 'fromPeers' | 'trust'> }>;
}

type Tags = z.output<ReturnType<typeof z.object<typeof TAGS_SHAPE>>>;

/** Refuses a `fromPeers` by which nobody could ever be believed: it would look as if it worked. */
export function someoneIsBelieved({ peers, registries }: Believed, context: z.RefinementCtx): void {
  if (peers.networkKeyFile !== null) return;
  for (const [name, { tags }] of registries) {
    if (tags.fromPeers === 'never' || tags.trust.length > 0) continue;
    const message = `is ${tags.fromPeers}, but nobody is believed: set peers.networkKeyFile, or name peers in tags.trust`;
    context.addIssue({ code: 'custom', path: ['registries', name, 'tags', 'fromPeers'], message });
  }
}

/** Whether `text` is a peer id as agents show it: of an Ed25519 key, and in the one spelling that signatures go by. */
function isPeerId(text: string): boolean {
  try {
    const id = peerIdFromString(text);
    return id.type === 'Ed25519' && id.toString() === text;
  } catch {
    return false;
  }
}

function freshTimes() {
  const time = duration({ most: LONGEST_FRESH });
  return z.unknown().transform((value, context) => {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return Object.entries(isMap ? value : { '*': value }).flatMap(([pattern, given]) => {
      const path = isMap ? [pattern] : [];
      if (!isTagPattern(pattern)) {
        context.addIssue({ code: 'custom', path, message: NO_PATTERN });
        return [];
      }
      const parsed = time.safeParse(given);
      if (parsed.success) return [{ pattern, time: parsed.data }];
      for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message });
      return [];
    });
  });
}
