/** Less than 0: the first comes before the second. */
export type TagOrder = (one: string, other: string) => number;

/** The order of the spec: "lexical order (i.e. case-insensitive alphanumeric order)"; by bytes where only case differs. */
export const tagOrder: TagOrder = (one, other) =>
  byteOrder(one.toLowerCase(), other.toLowerCase()) || byteOrder(one, other);

/** The order that most registries use. Tags are ASCII. */
const byteOrder: TagOrder = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** The order that `tags` are in, none twice; undefined where it is none that a page can be cut by. */
export function orderOf(tags: readonly string[]): TagOrder | undefined {
  const isIn = (order: TagOrder) => tags.every((tag, at) => at === 0 || order(tags[at - 1] as string, tag) < 0);
  return [tagOrder, byteOrder].find(isIn);
}
