import { AgentError } from '../../errors.ts';
import type { TagsPage } from '../ports.ts';
import { orderOf, type TagOrder, tagOrder } from './tag-order.ts';

/** Pages of one list that are read, where the registry's own order is of no use. */
const MAX_PAGES = 100;

/** Tags of a list that is read whole: more would be sorted for seconds, in which nobody else is served. */
const MAX_TAGS = 200_000;

/** Tags asked for at least, however few are wanted: a few may be in order by chance, and most lists fit into one page. */
const PAGE = 1000;

/** What of a repository's tags is asked for (OCI distribution spec, "Listing Tags"). */
export interface TagsRange {
  /** How many at most; undefined: as many as upstream gives at once. */
  readonly n: number | undefined;
  /** Those that come after this one. */
  readonly last: string | undefined;
}

export interface TagsPart {
  readonly tags: readonly string[];
  /** Whether more come after the last of them. */
  readonly hasMore: boolean;
}

/**
 * The tags in `range`, whatever the registry makes of `n` and `last`: some ignore them, some list in an order of their
 * own and find the next page by a token. One that does as it should costs one request; where another gives only a part
 * of its list, the list is read whole, sorted, and cut here.
 * @param page asks upstream
 * @throws what `page` throws; AgentError UPSTREAM_FAILED where the list is longer than {@link MAX_PAGES} or {@link MAX_TAGS}
 */
export async function tagsIn(page: (query: string) => Promise<TagsPage>, range: TagsRange): Promise<TagsPart> {
  const { n, last } = range;
  const { tags, next } = await page(queryOf(n === undefined ? n : Math.max(n, PAGE), last));
  // Whether there is such a repository was still for upstream to say.
  if (n === 0) return { tags: [], hasMore: false };
  const isOrdered = orderOf(last === undefined ? tags : [last, ...tags]) !== undefined;
  // Without a next page and out of order, it may be all there is.
  if (next === undefined) return isOrdered ? head(tags, n) : cut(tags, range);
  if (isOrdered && goesOnAfter(tags, next)) return { ...head(tags, n), hasMore: true };
  return cut(await all(page), range);
}

/** Whether the next page is found by the last tag of this one, as the spec says, and so by what our client will send. */
function goesOnAfter(tags: readonly string[], next: string): boolean {
  return tags.length > 0 && new URLSearchParams(next).get('last') === tags.at(-1);
}

function head(tags: readonly string[], n: number | undefined): TagsPart {
  return { tags: tags.slice(0, n), hasMore: n !== undefined && tags.length > n };
}

async function all(page: (query: string) => Promise<TagsPage>): Promise<readonly string[]> {
  const pages: (readonly string[])[] = [];
  let count = 0;
  let next: string | undefined = queryOf(PAGE, undefined);
  while (next !== undefined) {
    if (pages.length >= MAX_PAGES) {
      throw new AgentError('UPSTREAM_FAILED', `upstream lists more tags than fit into ${MAX_PAGES} pages`);
    }
    const one = await page(next);
    pages.push(one.tags);
    count += one.tags.length;
    if (count > MAX_TAGS) throw new AgentError('UPSTREAM_FAILED', `upstream lists more than ${MAX_TAGS} tags`);
    next = one.next;
  }
  return pages.flat();
}

/** What of a whole list is in `range`. */
function cut(tags: readonly string[], { n, last }: TagsRange): TagsPart {
  const order: TagOrder = orderOf(tags) ?? tagOrder;
  const sorted = [...new Set(tags)].sort(order);
  return head(last === undefined ? sorted : sorted.filter((tag) => order(last, tag) < 0), n);
}

function queryOf(n: number | undefined, last: string | undefined): string {
  const query = new URLSearchParams();
  if (n !== undefined) query.set('n', String(n));
  if (last !== undefined) query.set('last', last);
  return query.toString();
}
