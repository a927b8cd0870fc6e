import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Announcer } from '../../../../agent/fetch/rules/announcer.ts';

describe('Announcer', () => {
  it('tells at once, then each second, and news after 50 ms', () => {
    const announcer = new Announcer(0);
    assert.ok(announcer.turn(0, false));
    assert.ok(announcer.dueAt > 0 && announcer.dueAt <= 1_000);
    announcer.news();
    assert.equal(announcer.dueAt, 50);
    assert.ok(!announcer.turn(49, false));
    assert.ok(announcer.turn(50, false));
    assert.ok(!announcer.turn(100, false));
  });

  it('tells half as often among many', () => {
    const announcer = new Announcer(0);
    assert.ok(announcer.turn(0, true));
    assert.ok(announcer.dueAt > 1_000 && announcer.dueAt <= 2_000);
  });

  it('does not wait where it is urged', () => {
    const announcer = new Announcer(0);
    announcer.turn(0, false);
    announcer.urge();
    assert.ok(announcer.turn(1, false));
  });

  it('tells what can wait of all blobs at the same instants, four times a second at most', () => {
    const seed = 1_000_117;
    const blobs = [3, 40, 60].map((since) => {
      const announcer = new Announcer(seed);
      announcer.turn(since, false);
      return announcer;
    });
    let told = 0;
    // From their first common instant on.
    for (let now = 117; now < 10_117; now++) {
      for (const announcer of blobs) announcer.remark();
      const turns = blobs.map((announcer) => announcer.turn(now, false));
      assert.equal(new Set(turns).size, 1, `not all at ${now}`);
      if (turns[0]) told++;
    }
    assert.equal(told, 40);
  });

  it('does not beat at the same instants as another agent', () => {
    const due = [1, 2, 3].map((seed) => {
      const announcer = new Announcer(seed);
      announcer.turn(0, false);
      announcer.remark();
      return announcer.dueAt;
    });
    assert.equal(new Set(due).size, 3);
  });

  it('tells something at least once a second', () => {
    for (const seed of [0, 1, 77, 249, 4_000_000_000]) {
      const announcer = new Announcer(seed);
      let last = 0;
      announcer.turn(0, false);
      for (let now = 1; now < 5_000; now++) {
        if (!announcer.turn(now, false)) continue;
        assert.ok(now - last <= 1_000, `${now - last} ms`);
        last = now;
      }
      assert.ok(last > 4_000);
    }
  });
});
