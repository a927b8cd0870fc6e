import { createPrivateKey, sign } from 'node:crypto';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import type { Behaviour, Claim } from './hostile-behaviours.ts';
import { type Message, sha256, text } from './independent-wire.ts';

/* What a hostile peer answers to questions on control streams; see hostile-peer.ts for what may be imported here. */

/** "Tags": the question. */
export interface AskedTag {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly accept: string;
}

/** "Signed tags": what is said of one, and who signs for it. */
export interface SignedTag {
  readonly accept: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly checkedAt: number;
  readonly signer: string;
  readonly signature: Uint8Array;
}

/** Who signs for a tag. */
export interface TagSigner {
  readonly peerId: string;
  readonly signing: { sign(statement: Uint8Array): Uint8Array };
}

/** What a peer says that a tag is. */
export type TagWord = (asked: AskedTag, self: TagSigner) => SignedTag | undefined;

export interface ControlInit {
  readonly behaviour: Behaviour;
  readonly claims: ReadonlyMap<string, Claim>;
  readonly privateKey: Ed25519PrivateKey;
  readonly tag: TagWord | undefined;
}

export interface ControlAnswering {
  /** Tags it was asked for. */
  readonly tagsAsked: readonly AskedTag[];
  /** The answer to a message; undefined where it has none, as to all that has no id: what agents announce is nothing to it. */
  answer(message: Message): Message | undefined;
}

export function createControlAnswering({ behaviour, claims, privateKey, tag }: ControlInit): ControlAnswering {
  const self = signerOf(privateKey);
  const tagsAsked: AskedTag[] = [];

  const tagAnswer = (id: unknown, asked: AskedTag): Message => {
    if (behaviour === 'wrong-answer') return { type: 'holding', id, size: 0, root: new Uint8Array(32) };
    tagsAsked.push(asked);
    const told = tag?.(asked, self);
    if (told === undefined) return { type: 'missing', id };
    const { signer, signature, ...checked } = told;
    return { type: 'tag', id, ...checked, mark: [signer, signature] };
  };

  return {
    tagsAsked,
    answer({ type, id, ...fields }) {
      if (id === undefined) return undefined;
      if (type === 'tag') return tagAnswer(id, fields as unknown as AskedTag);
      const claim = claims.get(text(fields.digest));
      if (claim === undefined) return { type: 'missing', id };
      const { size, map } = claim;
      if (type !== 'have' && behaviour !== 'wrong-answer') return { type: 'map', id, map };
      return { type: 'holding', id, size, root: behaviour === 'wrong-map' ? new Uint8Array(32) : sha256(map) };
    },
  };
}

/** Signs at once, with the seed that libp2p keeps before the public key. */
function signerOf(privateKey: Ed25519PrivateKey): TagSigner {
  const d = Buffer.from(privateKey.raw.subarray(0, 32)).toString('base64url');
  const x = Buffer.from(privateKey.publicKey.raw).toString('base64url');
  const key = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x }, format: 'jwk' });
  return {
    peerId: peerIdFromPrivateKey(privateKey).toString(),
    signing: { sign: (statement) => sign(null, statement, key) },
  };
}
