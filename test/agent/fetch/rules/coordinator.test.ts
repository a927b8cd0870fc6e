import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Coordinator } from '../../../../agent/fetch/rules/coordinator.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import { said } from '../../../support/simulation/said.ts';

const COUNT = 100;

function setting(): { table: Table; coordinator: Coordinator } {
  const table = new Table('self', COUNT, 0);
  return { table, coordinator: new Coordinator(table, 'self') };
}

describe('Coordinator', () => {
  it('grants two that claim before anybody was heard of, the second a moment later, and refuses the third', () => {
    const { coordinator } = setting();
    assert.deepEqual(coordinator.claim('a', 0, 0), { kind: 'grant', segment: [0, 4] });
    assert.deepEqual(coordinator.claim('b', 0, 1), { kind: 'refuse', fetching: ['a'] });
    assert.deepEqual(coordinator.claim('b', 0, 500), { kind: 'grant', segment: [4, 8] });
    assert.deepEqual(coordinator.claim('c', 0, 501), { kind: 'refuse', fetching: ['a', 'b'] });
  });

  it('does not take an announcement from before the grant for the word on it', () => {
    const { table, coordinator } = setting();
    coordinator.claim('a', 0, 0);
    coordinator.claim('b', 0, 500);
    table.hear('a', said(COUNT, []), 501);
    coordinator.announced('a', []);
    assert.equal(coordinator.claim('c', 0, 502).kind, 'refuse');
  });

  it('forgets a grant that nobody makes use of', () => {
    const { coordinator } = setting();
    coordinator.claim('a', 0, 0);
    coordinator.claim('b', 0, 500);
    assert.equal(coordinator.claim('c', 0, 1_400).kind, 'refuse');
    assert.equal(coordinator.claim('c', 0, 1_600).kind, 'grant');
  });

  it('grants what follows to a holder, behind what others take', () => {
    const { table, coordinator } = setting();
    table.times.note(100, 0);
    table.hear('a', said(COUNT, [0, 1, 2], [[3, 4]]), 0);
    table.hear('b', said(COUNT, [4], [[5, 8]]), 0);
    assert.deepEqual(coordinator.claim('a', 0, 10), { kind: 'grant', segment: [8, 24] });
  });

  it('grants little beyond the usual leases: they may be of no use', () => {
    const { table, coordinator } = setting();
    table.hear('a', said(COUNT, [0], [[1, 5]]), 0);
    table.hear('b', said(COUNT, [5], [[6, 10]]), 0);
    table.hear('c', said(COUNT, [10]), 0);
    table.failures = 1;
    assert.deepEqual(coordinator.claim('c', 0, 10), { kind: 'grant', segment: [11, 15] });
  });

  it('gives the whole to who has nobody beside it', () => {
    const { coordinator } = setting();
    assert.deepEqual(coordinator.claim('self', 0, 0, true), { kind: 'grant', segment: [0, COUNT] });
  });

  it('gives one who is barred nothing while others may have it', () => {
    const { table, coordinator } = setting();
    table.hear('a', said(COUNT, []), 0);
    table.hear('b', said(COUNT, []), 0);
    table.barred.add('a');
    assert.equal(coordinator.claim('a', 0, 10).kind, 'refuse');
    assert.equal(coordinator.claim('b', 0, 10).kind, 'grant');
  });

  it('gives one who is barred what only others may take who have it all', () => {
    const { table, coordinator } = setting();
    table.hear('a', said(COUNT, [0]), 0);
    table.hear('b', said(COUNT, [...Array(COUNT).keys()].slice(0, -1)), 0);
    table.barred.add('a');
    assert.equal(coordinator.claim('a', 0, 10).kind, 'refuse');
    table.hear('b', said(COUNT, [...Array(COUNT).keys()]), 20);
    table.lacks('b', 5);
    assert.deepEqual(coordinator.claim('a', 0, 30), { kind: 'grant', segment: [5, 6] });
  });

  it('grants what it has itself and cannot give to anybody', () => {
    const { table, coordinator } = setting();
    table.takesPart = true;
    for (let index = 0; index < COUNT; index++) table.ownChunk(index, 0);
    assert.equal(coordinator.claim('a', 0, 0).kind, 'grant');
    assert.equal(coordinator.claim('self', 0, 0).kind, 'refuse');
  });
});
