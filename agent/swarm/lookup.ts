import type { PeerInfo } from '@libp2p/interface';
import type { Digest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';
import { isDhtKey } from './dht.ts';
import { askHave, createHolder, type Holder } from './holder.ts';
import type { Inventories } from './inventory/inventories.ts';
import type { MissingRecord } from './missing.ts';
import type { Neighbour, Neighbours } from './neighbours.ts';
import type { Node } from './node.ts';
import type { Walks } from './walks.ts';

/** Providers dialled for one look-up at a time, and in all: a key may have any number of dead ones. */
const PROVIDER_DIALS = 4;
const MAX_PROVIDERS = 20;

export interface LookupComponents {
  readonly node: Node;
  readonly neighbours: Neighbours;
  readonly inventories: Inventories;
  readonly walks: Pick<Walks, 'mayFind' | 'providers'>;
  readonly missing: MissingRecord;
  isBanned(peer: string): boolean;
  onGarbage(peer: string): void;
}

/** Neighbours that told that they hold the blob, and were not caught lying. */
export function tellers(
  digest: Digest,
  components: Pick<LookupComponents, 'neighbours' | 'inventories' | 'missing' | 'isBanned' | 'onGarbage'>,
  init: Pick<LookupInit, 'mapTimeout'>,
): Holder[] {
  const { neighbours, inventories, missing, isBanned } = components;
  return neighbours.all.flatMap((neighbour) => {
    const claim = inventories.of(neighbour.id)?.get(digest);
    if (claim === undefined || isBanned(neighbour.id) || missing.has(neighbour.id, digest)) return [];
    return createHolder(neighbour, digest, claim, components, init);
  });
}

export interface LookupInit {
  readonly dht: boolean;
  /** ms a peer may take to answer; for one that is dialled first, as much again. */
  readonly answerTimeout: number;
  /** See HolderInit. ms */
  readonly mapTimeout: number;
}

/**
 * Who holds the blob: first the neighbours that told so, at once. Who told of all it has is not asked; who did not (it
 * has just connected, has more than it may tell of, or does not announce) is, and the DHT beside, for holders who are
 * no neighbours. Yields as answers come, each peer once; ends when all have answered or `signal` fires, without
 * throwing. With all neighbours' inventories whole and nobody behind them, that is at once.
 */
export async function* lookup(
  digest: Digest,
  signal: AbortSignal,
  components: LookupComponents,
  init: LookupInit,
): AsyncGenerator<Holder> {
  const { node, neighbours, inventories, walks, missing, isBanned, onGarbage } = components;
  if (signal.aborted) return;
  const asked = new Set<string>();
  const answers: Holder[] = [];
  let running = 0;
  let wake: (() => void) | undefined;
  // Whoever stops iterating stops the look-up.
  const stop = new AbortController();
  const ends = AbortSignal.any([signal, stop.signal]);
  const onEnd = (): void => wake?.();
  ends.addEventListener('abort', onEnd);

  const run = (work: Promise<void>): void => {
    running += 1;
    work
      .catch(() => {})
      .finally(() => {
        running -= 1;
        wake?.();
      });
  };

  const mayAsk = (peer: string): boolean => !asked.has(peer) && !isBanned(peer) && !missing.has(peer, digest);

  const ask = async (neighbour: Neighbour, isProvider: boolean): Promise<void> => {
    try {
      const claim = await askHave(neighbour, digest, AbortSignal.any([ends, AbortSignal.timeout(init.answerTimeout)]));
      if (claim !== undefined) {
        answers.push(createHolder(neighbour, digest, claim, components, init));
      } else if (isProvider) {
        // Records outlive what they speak of, by hours.
        missing.note(neighbour.id, digest);
      }
    } catch (error) {
      if (isAgentError(error, 'PEER_PROTOCOL')) onGarbage(neighbour.id);
    }
  };

  const askProvider = async (provider: PeerInfo): Promise<void> => {
    const id = provider.id.toString();
    const addresses = provider.multiaddrs;
    const connected = neighbours.get(id);
    if (connected === undefined) {
      const timeout = AbortSignal.timeout(init.answerTimeout);
      // With no address the peer store may still know one.
      const target = addresses.length === 0 ? provider.id : addresses.map((a) => withPeer(a, id));
      await node.dial(target, { signal: AbortSignal.any([ends, timeout]) });
    }
    const neighbour = neighbours.get(id);
    if (neighbour !== undefined) await ask(neighbour, true);
  };

  const askProviders = async (): Promise<void> => {
    const dialling = new Set<Promise<void>>();
    for await (const provider of walks.providers(digest, ends)) {
      const id = provider.id.toString();
      if (!mayAsk(id)) continue;
      asked.add(id);
      const work = askProvider(provider)
        .catch(() => {})
        .finally(() => dialling.delete(work));
      dialling.add(work);
      if (dialling.size >= PROVIDER_DIALS) await Promise.race(dialling);
      if (asked.size - neighboursAsked >= MAX_PROVIDERS) break;
    }
    await Promise.all(dialling);
  };

  for (const neighbour of neighbours.all) {
    if (!mayAsk(neighbour.id)) continue;
    asked.add(neighbour.id);
    const inventory = inventories.of(neighbour.id);
    const claim = inventory?.get(digest);
    if (claim !== undefined) answers.push(createHolder(neighbour, digest, claim, components, init));
    else if (!inventory?.isWhole) run(ask(neighbour, false));
  }
  const neighboursAsked = asked.size;
  if (init.dht && isDhtKey(digest) && walks.mayFind()) run(askProviders());

  try {
    while (!signal.aborted) {
      const next = answers.shift();
      if (next !== undefined) {
        yield next;
        continue;
      }
      if (running === 0) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    ends.removeEventListener('abort', onEnd);
    stop.abort();
  }
}

function withPeer(address: PeerInfo['multiaddrs'][number], id: string): PeerInfo['multiaddrs'][number] {
  const named = address.getComponents().some(({ name }) => name === 'p2p');
  return named ? address : address.encapsulate(`/p2p/${id}`);
}
