import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { TagName, TagRecords } from '../../../../agent/fetch/tags/ports.ts';
import { tagRecord } from './records.ts';

/** The bounds that the records under test were made with. */
export const BOUNDS = { tags: 6, variants: 3 };

const name = (tag: string, over: Partial<TagName> = {}): TagName => ({
  registry: 'docker.io',
  repository: 'library/app',
  tag,
  ...over,
});

/** What every {@link TagRecords} must do. `open` gives an empty one. */
export function recordsComply(open: () => Promise<{ records: TagRecords; close(): Promise<void> }>): void {
  let records: TagRecords;
  let close: () => Promise<void>;
  beforeEach(async () => {
    ({ records, close } = await open());
  });
  afterEach(() => close());

  test('what was put is found as it was, and of no other registry, repository or tag', () => {
    const record = tagRecord({ etag: 'W/"x"', checkedAt: Date.now() });
    records.put(name('latest'), record);
    assert.deepEqual(records.find(name('latest')), [record]);
    for (const other of [
      name('Latest'),
      name('latest', { registry: 'ghcr.io' }),
      name('latest', { repository: 'library/app2' }),
      // Joined, these are the same text.
      name('app/latest', { repository: 'library' }),
    ]) {
      assert.deepEqual(records.find(other), []);
    }
  });

  test('a record for each that was accepted, the one checked last first; the same takes the place of the old', () => {
    const first = tagRecord({ accept: 'a/b', checkedAt: 5 });
    const second = tagRecord({ accept: '*/*', checkedAt: 9, etag: '"e"' });
    records.put(name('latest'), first);
    records.put(name('latest'), second);
    assert.deepEqual(records.find(name('latest')), [second, first]);
    assert.deepEqual(records.peek(name('latest')), [second, first]);
    const later = tagRecord({ accept: 'a/b', checkedAt: 10, size: 5, mediaType: 'x/y' });
    records.put(name('latest'), later);
    assert.deepEqual(records.find(name('latest')), [later, second]);
  });

  test('one record is dropped, others of the tag stay; what is not there is dropped in peace', () => {
    const kept = tagRecord({ accept: 'a/b' });
    records.put(name('latest'), kept);
    records.put(name('latest'), tagRecord({ accept: 'c/d' }));
    records.drop(name('latest'), 'c/d');
    records.drop(name('latest'), 'e/f');
    records.drop(name('other'), 'a/b');
    assert.deepEqual(records.find(name('latest')), [kept]);
  });

  test('of one tag only so many, those checked longest ago go', () => {
    for (const at of [3, 1, 2, 4]) records.put(name('latest'), tagRecord({ accept: `a/${at}`, checkedAt: at }));
    assert.deepEqual(
      records.find(name('latest')).map(({ accept }) => accept),
      ['a/4', 'a/3', 'a/2'],
    );
  });

  test('only so many in all: what was used longest ago goes, whenever it was checked', () => {
    const tags = Array.from({ length: BOUNDS.tags }, (_, at) => `t${at}`);
    for (const [at, tag] of tags.entries()) records.put(name(tag), tagRecord({ checkedAt: 1000 - at }));
    records.find(name('t0'));
    assert.equal(records.peek(name('t2')).length, 1);
    records.put(name('t1'), tagRecord({ checkedAt: 1 }));
    records.put(name('more'), tagRecord({ checkedAt: 0 }));
    records.put(name('most'), tagRecord({ checkedAt: 0 }));
    const left = [...tags, 'more', 'most'].filter((tag) => records.find(name(tag)).length > 0);
    assert.deepEqual(left, ['t0', 't1', 't4', 't5', 'more', 'most']);
  });
}
