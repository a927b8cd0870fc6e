import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { loadIdentity } from '../../agent/swarm/identity.ts';
import type { Digest } from '../../protocol/digest.ts';
import { rendezvousOrder } from '../../protocol/rendezvous.ts';

/** With n others every n-th identity will do, so this many all failing means that something else is wrong. */
const TRIES = 5_000;

/** Makes an identity at `path` that ranks above `others` for `digest`: who has it is the blob's coordinator. */
export async function makeCoordinator(path: string, digest: Digest, others: readonly string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  for (let tried = 0; tried < TRIES; tried++) {
    const id = peerIdFromPrivateKey(await loadIdentity(path)).toString();
    if (rendezvousOrder(digest, [id, ...others])[0] === id) return;
    await rm(path);
  }
  throw new Error(`none of ${TRIES} identities ranks highest`);
}
