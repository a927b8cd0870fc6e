/** Text that came from elsewhere, fit for a terminal: what a peer calls itself must not move the cursor. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** A peer id in few columns: the beginning is the same for all, the end tells them apart. */
export function shortId(id: string): string {
  return id.length <= 12 ? printable(id) : `…${printable(id.slice(-10))}`;
}

/** A multiaddr without the id at its end, where that is shown beside it. */
export function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}
