import type { Swarm } from '../ports.ts';
import type { TagSettings } from './freshness.ts';

/** Neighbours asked for one tag: some hundred bytes each, there and back. Above that many, chance decides who. */
const MOST_ASKED = 32;

/**
 * Whom to ask what a tag is: those alone whose word would be believed, since the question tells who asks for what. That
 * is every neighbour where a network key keeps strangers out, and those who are named; the named ones first.
 * @param random as Math.random
 */
export function whomToAsk(
  { isTrusted, neighbours }: Pick<Swarm, 'isTrusted'> & { readonly neighbours: readonly string[] },
  { trust = [] }: Pick<TagSettings, 'trust'>,
  random: () => number,
): string[] {
  const named = neighbours.filter((peer) => trust.includes(peer));
  const others = isTrusted ? neighbours.filter((peer) => !trust.includes(peer)) : [];
  return [...shuffled(named, random), ...shuffled(others, random)].slice(0, MOST_ASKED);
}

function shuffled(peers: readonly string[], random: () => number): string[] {
  return peers
    .map((peer) => [random(), peer] as const)
    .sort(([one], [other]) => one - other)
    .map(([, peer]) => peer);
}
