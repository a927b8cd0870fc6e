import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { StandingRecords } from '../../../../agent/fetch/privacy/ports.ts';

/** The bound that the records under test were made with. */
export const BOUND = 4;

const repository = (name: string, registry = 'docker.io') => ({ registry, name });

/** What every {@link StandingRecords} must do. `open` gives an empty one. */
export function standingsComply(open: () => Promise<{ records: StandingRecords; close(): Promise<void> }>): void {
  let records: StandingRecords;
  let close: () => Promise<void>;
  beforeEach(async () => {
    ({ records, close } = await open());
  });
  afterEach(() => close());

  test('what was put is found as it was, and of no other registry or repository', () => {
    const standing = { said: 'denied', checkedAt: Date.now() } as const;
    records.put(repository('group/app'), standing);
    assert.deepEqual(records.find(repository('group/app')), standing);
    assert.equal(records.find(repository('group/app', 'ghcr.io')), undefined);
    assert.equal(records.find(repository('group')), undefined);
    // Joined, these are the same text.
    assert.equal(records.find(repository('app', 'docker.io/group')), undefined);
  });

  test('the last answer takes the place of the one before, whatever the clock says', () => {
    for (const standing of [
      { said: 'public', checkedAt: 9 },
      { said: 'missing', checkedAt: 5 },
      { said: 'denied', checkedAt: 7 },
    ] as const) {
      records.put(repository('group/app'), standing);
      assert.deepEqual(records.find(repository('group/app')), standing);
    }
  });

  test('only so many: what was found out longest ago goes, whenever that was by the clock', () => {
    for (let at = 0; at < BOUND; at++) records.put(repository(`r${at}`), { said: 'public', checkedAt: 100 - at });
    records.put(repository('r0'), { said: 'public', checkedAt: 1 });
    records.put(repository('more'), { said: 'public', checkedAt: 0 });
    records.put(repository('most'), { said: 'public', checkedAt: 0 });
    const left = ['r0', 'r1', 'r2', 'r3', 'more', 'most'].filter((name) => records.find(repository(name)));
    assert.deepEqual(left, ['r0', 'r3', 'more', 'most']);
  });
}
