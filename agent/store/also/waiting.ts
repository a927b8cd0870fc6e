/** Manifests and configs are hashed before layers: they take no time, and nothing is pulled without them. Bytes. */
const SMALL = 1024 * 1024;

interface Sized {
  readonly stamp: { readonly size: bigint };
}

/** What waits to be hashed: what is small first, else in the order in which it came. */
export class Waiting<Item extends Sized> {
  readonly #small = new Set<Item>();
  readonly #large = new Set<Item>();

  get size(): number {
    return this.#small.size + this.#large.size;
  }

  /** It goes on waiting. */
  first(): Item | undefined {
    for (const queue of [this.#small, this.#large]) for (const item of queue) return item;
    return undefined;
  }

  add(item: Item): void {
    (item.stamp.size <= SMALL ? this.#small : this.#large).add(item);
  }

  /** @returns whether it waited */
  delete(item: Item): boolean {
    return this.#small.delete(item) || this.#large.delete(item);
  }
}
