import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Announcer } from '../../../../agent/fetch/rules/announcer.ts';

describe('Announcer', () => {
  it('tells at once, then each second, and news after 50 ms', () => {
    const announcer = new Announcer();
    assert.ok(announcer.turn(0));
    assert.equal(announcer.dueAt, 1_000);
    announcer.news();
    assert.equal(announcer.dueAt, 50);
    assert.ok(!announcer.turn(49));
    assert.ok(announcer.turn(50));
    assert.ok(!announcer.turn(100));
  });

  it('does not wait where it is urged', () => {
    const announcer = new Announcer();
    announcer.turn(0);
    announcer.urge();
    assert.ok(announcer.turn(1));
  });
});
