import type { StandingRecords } from '../../agent/fetch/privacy/ports.ts';
import type { Standing } from '../../agent/fetch/privacy/standing.ts';
import type { Repository } from '../../agent/oci/reference.ts';

/** A twin of the durable records of repositories, in memory. */
export function memoryStandings(bound = 1000): StandingRecords {
  /** The one found out last, last. */
  const known = new Map<string, Standing>();
  const keyOf = ({ registry, name }: Repository) => JSON.stringify([registry, name]);
  return {
    find: (repository) => known.get(keyOf(repository)),
    put(repository, standing) {
      known.delete(keyOf(repository));
      known.set(keyOf(repository), standing);
      for (const key of [...known.keys()].slice(0, Math.max(0, known.size - bound))) known.delete(key);
    },
  };
}
