import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import { parseSize } from '../../../agent/config/size.ts';
import type { Surroundings } from '../../../agent/config/surroundings.ts';
import { isAgentError } from '../../../agent/errors.ts';

const root: Surroundings = { isRoot: true, home: '/root', cwd: '/', env: {} };
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];

const limits = (...set: string[]) => loadConfig({ set }, root).limits;

/** What is said of a value of limits.upstream. */
function complaint(value: string, key = 'limits.upstream'): string {
  let said = '';
  assert.throws(
    () => limits(`${key}=${value}`),
    (error) => {
      said = (error as Error).message;
      return isAgentError(error, 'CONFIG_INVALID');
    },
    value,
  );
  assert.doesNotMatch(said, /\n/);
  return said;
}

test('sizes', () => {
  const cases: [text: string, bytes: number | undefined][] = [
    ['10MiB', 10 * 1024 ** 2],
    ['1250kB', 1_250_000],
    ['1.5MB', 1_500_000],
    ['0.5KiB', 512],
    ['2GiB', 2 * 1024 ** 3],
    ['3GB', 3_000_000_000],
    ['65536', 65_536],
    ['65536B', 65_536],
    ['0', 0],
    ['', undefined],
    ['MiB', undefined],
    ['-1MiB', undefined],
    ['1 MiB', undefined],
    ['1mib', undefined],
    ['1MiB\n', undefined],
    ['1e6', undefined],
    ['10Mbit', undefined],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});

test('no limit, a rate, and windows by hours', () => {
  assert.deepEqual(limits(), { peerUpload: [], peerDownload: [], upstream: [] });
  const always = { from: 0, to: 1440, days: EVERY_DAY };
  const { peerUpload, peerDownload, upstream } = limits(
    'limits.peerUpload=10MiB',
    'limits.peerDownload=1000000',
    'limits.upstream=[{rate: 1250kB, from: "08:00", to: "18:30", days: [mon, sun]}, {rate: 64KiB, from: "22:00", to: "06:00"}, {rate: 1GB, from: "00:00", to: "24:00"}]',
  );
  assert.deepEqual(peerUpload, [{ rate: 10 * 1024 ** 2, ...always }]);
  assert.deepEqual(peerDownload, [{ rate: 1_000_000, ...always }]);
  assert.deepEqual(upstream, [
    { rate: 1_250_000, from: 480, to: 1110, days: [1, 0] },
    { rate: 65_536, from: 1320, to: 360, days: EVERY_DAY },
    { rate: 1_000_000_000, ...always },
  ]);
});

test('what cannot be a limit is told in one line that names the key', () => {
  assert.equal(
    complaint('10Mbit'),
    '--set: limits.upstream must be a rate in bytes a second: 10MiB, 1250kB or 1000000.',
  );
  assert.match(complaint('true'), /limits\.upstream must be a rate/);
  assert.match(complaint('-1'), /must be a rate/);
  assert.match(complaint('1.5'), /must be a rate/);
  assert.match(complaint('.inf'), /must be a rate/);
  assert.equal(complaint('63KiB'), '--set: limits.upstream must be at least 64KiB a second.');
  assert.match(complaint('0'), /at least 64KiB/);
  assert.match(complaint('99999GiB'), /at most 1024GiB/);
  assert.match(complaint('[]'), /limits\.upstream must hold at least one window; null is no limit\.$/);
  assert.match(complaint('[10MiB]'), /limits\.upstream\[0\] must be a map of rate, from, to and days\.$/);
  assert.match(complaint('[{from: "08:00", to: "18:00"}]'), /limits\.upstream\[0\]\.rate is missing\.$/);
  assert.match(complaint('[{rate: 1MiB, to: "18:00"}]'), /limits\.upstream\[0\]\.from is missing\.$/);
  assert.match(complaint('[{rate: 1KiB, from: "08:00", to: "18:00"}]'), /upstream\[0\]\.rate must be at least 64KiB/);
  assert.match(complaint('[{rate: 1MiB, from: "8:00", to: "18:00"}]'), /from must be an hour .* to "23:59"\.$/);
  assert.match(complaint('[{rate: 1MiB, from: "24:00", to: "18:00"}]'), /from must be an hour of the day/);
  assert.match(complaint('[{rate: 1MiB, from: "08:00", to: "24:01"}]'), /to must be an hour .* to "24:00"\.$/);
  assert.match(complaint('[{rate: 1MiB, from: 480, to: "18:00"}]'), /from must be an hour of the day in quotes/);
  assert.match(complaint('[{rate: 1MiB, from: "08:00", to: "08:00"}]'), /upstream\[0\] must not begin and end at/);
  assert.match(complaint('[{rate: 1MiB, from: "08:00", to: "09:00", days: []}]'), /days must hold at least one/);
  assert.match(complaint('[{rate: 1MiB, from: "08:00", to: "09:00", days: [monday]}]'), /days\[0\] must be mon, tue/);
  assert.match(complaint('[{rate: 1MiB, from: "08:00", to: "09:00", day: [mon]}]'), /did you mean .*\[0\]\.days\?$/);
  assert.match(complaint('1MiB', 'limits.upsteam'), /limits\.upsteam is not .* did you mean limits\.upstream\?$/);
});
