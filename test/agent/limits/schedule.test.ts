import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { localTime, type RateWindow, rateAt, untilChange } from '../../../agent/limits/schedule.ts';

const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const [SUN, MON, FRI, SAT] = [0, 1, 5, 6];
const at = (day: number, hour: number, minute = 0) => ({ day, minute: hour * 60 + minute });

test('a window by day', () => {
  const office: RateWindow[] = [{ rate: 100, from: 8 * 60, to: 18 * 60, days: [MON, FRI] }];
  assert.equal(rateAt(office, at(MON, 7, 59)), undefined);
  assert.equal(rateAt(office, at(MON, 8)), 100);
  assert.equal(rateAt(office, at(MON, 17, 59)), 100);
  assert.equal(rateAt(office, at(MON, 18)), undefined);
  assert.equal(rateAt(office, at(SAT, 12)), undefined);
});

test('a window past midnight belongs to the day on which it begins', () => {
  const night: RateWindow[] = [{ rate: 100, from: 22 * 60, to: 6 * 60, days: [SAT] }];
  assert.equal(rateAt(night, at(SAT, 5)), undefined);
  assert.equal(rateAt(night, at(SAT, 21, 59)), undefined);
  assert.equal(rateAt(night, at(SAT, 22)), 100);
  assert.equal(rateAt(night, at(SUN, 5, 59)), 100);
  assert.equal(rateAt(night, at(SUN, 6)), undefined);
  assert.equal(rateAt(night, at(SUN, 22)), undefined);
});

test('to midnight, and all day', () => {
  const evening: RateWindow[] = [{ rate: 1, from: 20 * 60, to: 1440, days: [MON] }];
  assert.equal(rateAt(evening, at(MON, 23, 59)), 1);
  assert.equal(rateAt(evening, at(MON + 1, 0)), undefined);
  const always: RateWindow[] = [{ rate: 1, from: 0, to: 1440, days: EVERY_DAY }];
  for (const day of EVERY_DAY) assert.equal(rateAt(always, at(day, 0)), 1);
});

test('of several windows that are open the smallest rate applies, whatever their order', () => {
  const window = fc.record({
    rate: fc.integer({ min: 1, max: 1000 }),
    from: fc.nat(1439),
    to: fc.nat(1440),
    days: fc.uniqueArray(fc.nat(6), { minLength: 1 }),
  });
  const time = fc.record({ day: fc.nat(6), minute: fc.nat(1439) });
  fc.assert(
    fc.property(fc.array(window, { maxLength: 5 }), time, (windows, when) => {
      const open = windows.map((one) => rateAt([one], when)).filter((rate) => rate !== undefined);
      assert.equal(rateAt(windows, when), open.length === 0 ? undefined : Math.min(...open));
      assert.equal(rateAt([...windows].reverse(), when), rateAt(windows, when));
    }),
  );
});

test('between two looks no window opens or closes, whatever the clocks are changed to', () => {
  // Some years of instants, so that summer time begins and ends in between where the zone has it.
  fc.assert(
    fc.property(fc.date({ min: new Date('2024-01-01'), max: new Date('2028-01-01'), noInvalidDate: true }), (date) => {
      const until = untilChange(date);
      assert.ok(until > 0 && until <= 60_000);
      assert.deepEqual(localTime(new Date(date.getTime() + until - 1)), localTime(date));
      assert.notDeepEqual(localTime(new Date(date.getTime() + until)), localTime(date));
    }),
  );
});
