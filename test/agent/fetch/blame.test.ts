import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, liars } from '../../../agent/fetch/blame.ts';

test('with every chunk from peers, the map they matched is false', () => {
  const verdict = judge([
    { index: 0, vouched: 'map' },
    { index: 1, vouched: 'map' },
  ]);
  assert.deepEqual(verdict, { drop: [0, 1], mapIsFalse: true, upstreamIsWrong: false });
});

test('with some from upstream, what peers sent is taken again and nobody is blamed yet', () => {
  const verdict = judge([
    { index: 0, vouched: 'upstream' },
    { index: 1, vouched: 'map' },
  ]);
  assert.deepEqual(verdict, { drop: [1], mapIsFalse: false, upstreamIsWrong: false });
});

test('with some that a signer vouches for, and none by the map, it has to be found out who lied', () => {
  const verdict = judge([
    { index: 0, vouched: 'upstream' },
    { index: 1, vouched: 'mark' },
  ]);
  assert.deepEqual(verdict, { drop: [], mapIsFalse: false, upstreamIsWrong: false });
});

test('with nothing from peers, upstream is wrong', () => {
  assert.deepEqual(judge([{ index: 0, vouched: 'upstream' }]), { drop: [0], mapIsFalse: false, upstreamIsWrong: true });
});

test('once the true map is known, who claimed another is a liar', () => {
  const claims = [
    { peer: 'honest', root: 'aa' },
    { peer: 'liar', root: 'bb' },
  ];
  assert.deepEqual(liars('aa', claims), ['liar']);
});
