import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tagWarning } from '../../../agent/registry/warning.ts';

test('what upstream says now has no warning; what else an answer rests on is told with its age', () => {
  assert.equal(tagWarning({}), undefined);
  assert.equal(
    tagWarning({ staleFor: 185_400 }),
    '299 - "The upstream registry cannot be asked now; what this tag means was last checked 185 s ago."',
  );
  assert.equal(
    tagWarning({ staleFor: 1600, toldBy: '12D3KooWPeer' }),
    '299 - "What this tag means is the word of peer 12D3KooWPeer; it was last checked 2 s ago."',
  );
});
