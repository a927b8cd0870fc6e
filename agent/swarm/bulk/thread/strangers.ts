/** Connections of one address at a time that have not shown a ticket: a neighbour has one, and there may be a few behind a NAT. */
export const MAX_STRANGERS = 16;

/** A connection, as both the bare socket and the TLS one on it know it. */
export interface Endpoint {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Who has connected and not yet shown a ticket: one host must not keep all places for itself. */
export class Strangers {
  readonly #ports = new Map<string, Set<number>>();

  /** @returns whether there is a place for it */
  came({ remoteAddress, remotePort }: Endpoint): boolean {
    // Gone again by now.
    if (remoteAddress === undefined || remotePort === undefined) return false;
    const ports = this.#ports.get(remoteAddress) ?? new Set();
    if (ports.size >= MAX_STRANGERS) return false;
    this.#ports.set(remoteAddress, ports.add(remotePort));
    return true;
  }

  /** It has shown a ticket, or is gone. May be called again. */
  left(remoteAddress: string, remotePort: number): void {
    const ports = this.#ports.get(remoteAddress);
    ports?.delete(remotePort);
    if (ports?.size === 0) this.#ports.delete(remoteAddress);
  }
}
