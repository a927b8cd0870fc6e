/** A number below 2³² that looks like chance: the same for the same two. */
export function mixed(a: number, b: number): number {
  let x = (Math.imul(a + 1, 0x9e3779b1) ^ b) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** A number from a peer id: agents must not all choose alike. */
export function seedOf(peer: string): number {
  let seed = 0x811c9dc5;
  for (let at = 0; at < peer.length; at++) seed = Math.imul(seed ^ peer.charCodeAt(at), 0x01000193) >>> 0;
  return seed;
}
