import type { Config } from './config/load.ts';
import type { Published } from './fetch/published.ts';
import { type Also, type AlsoComponents, openAlso } from './store/also/index.ts';

/** What else the host holds; undefined where none of it is to be served. @throws AgentError STORE_UNWRITABLE */
export function openElsewhere(components: AlsoComponents, { store }: Config): Also | undefined {
  if (store.also.length === 0) return undefined;
  return openAlso(components, { directory: store.path, places: store.also, recheck: store.recheck });
}

/**
 * The word of a registry that the operator wrote down counts, and Docker Hub's. Any other may be anybody's, who could
 * name what is private here in a manifest of his own.
 */
export function publishedTo(also: Also, { registries }: Config): Published {
  return {
    named: ({ registry }, digest) => registries.has(registry) && also.named(digest),
    seen: (digest, manifest) => also.seen(digest, manifest),
  };
}
