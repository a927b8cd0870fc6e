import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Neighbourhood, Partners } from '../../../../agent/fetch/rules/partners.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import { said } from '../../../support/simulation/said.ts';

const COUNT = 20;

function setting(neighbours: number): { table: Table; partners: Partners } {
  const names = Array.from({ length: neighbours }, (_, at) => `peer-${at}`);
  const neighbourhood: Neighbourhood = {
    self: 'self',
    neighbours: () => names,
    isNeighbour: (peer) => names.includes(peer),
    order: () => [...names, 'self'],
    place: () => names.length,
  };
  const table = new Table('self', COUNT, 0);
  return { table, partners: new Partners(table, neighbourhood) };
}

describe('Partners', () => {
  it('are all neighbours while those are few', () => {
    const { partners } = setting(50);
    assert.equal(partners.told.length, 50);
    assert.deepEqual(partners.draw('peer-1'), []);
  });

  it('are, of a crowd, those drawn and those who announce to this agent, up to a bound', () => {
    const { table, partners } = setting(100);
    assert.equal(partners.told.length, 0);
    partners.drawn(['peer-3', 'stranger', 'peer-4']);
    assert.deepEqual(partners.told, ['peer-3', 'peer-4']);
    for (let at = 10; at < 90; at++) table.hear(`peer-${at}`, said(COUNT, []), 0);
    assert.equal(partners.told.length, 24);
    assert.ok(partners.told.includes('peer-3'));
  });

  it('are the first two of the order as well, for who holds a lease or has held one', () => {
    const { table, partners } = setting(100);
    table.leased(table.own, [[0, 4]], 0, 0);
    assert.deepEqual(partners.told, ['peer-0', 'peer-1']);
    table.leased(table.own, [], 0, 0);
    assert.deepEqual(partners.told, ['peer-0', 'peer-1']);
  });

  it('are drawn of those who have claimed: ten, others for each, and the same for the same', () => {
    const { partners } = setting(100);
    for (let at = 0; at < 40; at++) partners.draw(`peer-${at}`);
    const one = partners.draw('peer-90');
    assert.equal(new Set(one).size, 10);
    assert.ok(!one.includes('peer-90'));
    assert.notDeepEqual(partners.draw('peer-91'), one);
    const { partners: again } = setting(100);
    for (let at = 0; at < 40; at++) again.draw(`peer-${at}`);
    assert.deepEqual(again.draw('peer-90'), one);
  });
});
