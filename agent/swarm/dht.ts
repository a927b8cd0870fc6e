import type { PeerInfo } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Datastore, Key } from 'interface-datastore';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { create } from 'multiformats/hashes/digest';
import { algorithmOf, type Digest, hexOf } from '../../protocol/digest.ts';
import type { Walk } from './horizon.ts';
import type { Node } from './node.ts';

/** Multicodec code of SHA-256. */
const SHA2_256 = 0x12;

/** Where kad-dht keeps provider records: `/dht/provider/<multihash>/<peer id>`. */
const PROVIDER_PREFIX = '/dht/provider';

/**
 * Whether the DHT takes the blob's key. kad-dht reads a provider record's multihash as if it were a CID, which a sha256
 * happens to pass for (as CIDv0) and a sha512 does not: it would fail at every peer, so it is not tried.
 */
export function isDhtKey(digest: Digest): boolean {
  return algorithmOf(digest) === 'sha256';
}

/** The DHT key of a blob: CIDv1, raw, with the blob's own hash. @throws RangeError where it is no DHT key */
export function cidOf(digest: Digest): CID {
  if (!isDhtKey(digest)) throw new RangeError(`the DHT does not take ${digest}`);
  return CID.createV1(raw.code, create(SHA2_256, Buffer.from(hexOf(digest), 'hex')));
}

/** Who advertises the blob, as answers come; ends without throwing when `signal` fires or the DHT has no more. */
export async function* findProviders(
  node: Node,
  digest: Digest,
  signal: AbortSignal,
  onWalked: (walk: Walk) => void,
): AsyncGenerator<PeerInfo> {
  const met = new Set<string>();
  let failures = 0;
  const isOther = ({ id }: PeerInfo): boolean => !id.equals(node.peerId);
  try {
    // Not through contentRouting, which does not say who was asked and who answered.
    for await (const event of node.services.dht?.findProviders(cidOf(digest), { signal }) ?? []) {
      if (event.name === 'QUERY_ERROR') failures += 1;
      if (event.name === 'PEER_RESPONSE' && !event.from.equals(node.peerId)) met.add(event.from.toString());
      if (event.name === 'PEER_RESPONSE') for (const peer of event.closer.filter(isOther)) met.add(peer.id.toString());
      if (event.name === 'PROVIDER') yield* event.providers.filter(isOther);
    }
    onWalked({ met, isWhole: failures === 0 && !signal.aborted });
  } catch {
    // A look-up that fails in the middle has found what it has found; neighbours are asked beside it.
  }
}

/** Advertises that this agent holds the blob. Returns how many peers took the record. @throws what libp2p throws */
export async function provide(node: Node, digest: Digest, signal: AbortSignal): Promise<number> {
  let told = 0;
  // Not through contentRouting, which does not say whether anybody was there to be told.
  for await (const event of node.services.dht?.provide(cidOf(digest), { signal }) ?? []) {
    if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') told += 1;
  }
  return told;
}

/** Forgets our own record of a blob. Others forget theirs when its validity has passed. @throws what libp2p throws */
export function unprovide(node: Node, digest: Digest): Promise<void> {
  return node.contentRouting.cancelReprovide(cidOf(digest));
}

/**
 * Removes the records an earlier run left of what it provided: the advertiser begins anew with what is held now, and
 * kad's own reprovider would go on advertising what is gone.
 */
export async function forgetOwnRecords(datastore: Datastore, self: string): Promise<void> {
  const id = peerIdFromString(self).toString();
  for await (const key of datastore.queryKeys({ prefix: PROVIDER_PREFIX })) {
    if (key.toString().endsWith(`/${id}`)) await datastore.delete(new Key(key.toString()));
  }
}
