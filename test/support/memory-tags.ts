import type { TagName, TagRecord, TagRecords } from '../../agent/fetch/tags/ports.ts';

/** A twin of the durable records of tags, in memory. */
export function memoryTags(bounds = { tags: 1000, variants: 8 }): TagRecords {
  /** By tag and by what was accepted; the one used last, last. */
  const known = new Map<string, { readonly key: string; readonly record: TagRecord }>();
  const keyOf = ({ registry, repository, tag }: TagName) => JSON.stringify([registry, repository, tag]);
  const of = (key: string) =>
    [...known].filter(([, entry]) => entry.key === key).sort(([, a], [, b]) => b.record.checkedAt - a.record.checkedAt);
  const use = (id: string, key: string, record: TagRecord) => {
    known.delete(id);
    known.set(id, { key, record });
  };
  return {
    find(name) {
      const found = of(keyOf(name));
      for (const [id, { key, record }] of found) use(id, key, record);
      return found.map(([, { record }]) => record);
    },
    peek: (name) => of(keyOf(name)).map(([, { record }]) => record),
    put(name, record) {
      const key = keyOf(name);
      use(key + record.accept, key, record);
      for (const [id] of of(key).slice(bounds.variants)) known.delete(id);
      for (const id of [...known.keys()].slice(0, Math.max(0, known.size - bounds.tags))) known.delete(id);
    },
    drop(name, accept) {
      known.delete(keyOf(name) + accept);
    },
  };
}
