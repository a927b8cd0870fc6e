/** How often a small LAN is asked. ms. */
const BASE_INTERVAL = 10_000;

/** Neighbours up to which that is often enough for the network to bear. */
const SMALL_LAN = 100;

/**
 * How long to wait before the next mDNS question. Every host answers every host's question: N² / interval packets a
 * second, so above a hundred neighbours the interval grows with N and each host answers ten questions a second at most.
 *
 * @returns ms
 */
export function queryInterval(neighbours: number): number {
  return BASE_INTERVAL * Math.max(1, neighbours / SMALL_LAN);
}
