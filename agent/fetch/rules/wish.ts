import type { Digest } from '../../../protocol/digest.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';

/** What the rules want done. Whoever acts on it tells them what came of it. */
export type Wish =
  | { readonly kind: 'tell'; readonly peers: readonly string[]; readonly message: FleetMessage }
  /** Chunk `index` from a neighbour. */
  | { readonly kind: 'take'; readonly digest: Digest; readonly peer: string; readonly index: number }
  /** Whoever else was asked for a chunk that is there now need not go on. */
  | { readonly kind: 'cancel'; readonly digest: Digest; readonly peer: string; readonly index: number }
  /** Chunks `from` to before `to` from upstream, for as long as {@link Share.goesOn} says so. One at a time. */
  | { readonly kind: 'upstream'; readonly digest: Digest; readonly from: number; readonly to: number }
  /** What is being taken from upstream comes too slowly to be waited for: others have it by now. */
  | { readonly kind: 'halt'; readonly digest: Digest }
  /** Nobody who is known can give what is missing, and upstream cannot either. */
  | { readonly kind: 'stuck'; readonly digest: Digest };
