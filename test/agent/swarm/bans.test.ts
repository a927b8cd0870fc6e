import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { type Bans, openBans } from '../../../agent/swarm/bans.ts';
import { createReputation, LIE_BAN, type Reputation, SLIP_BAN } from '../../../agent/swarm/reputation.ts';
import { type LogLine, startPeer, temporaryDirectory, until } from './fixture.ts';

interface Run {
  readonly reputation: Reputation;
  readonly bans: Bans;
  readonly log: LogLine[];
}

/** One run of an agent that keeps its bans in `path`, at a time of the wall clock. */
async function run(path: string, time: () => number): Promise<Run> {
  const log: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => log.push(JSON.parse(line)) });
  const reputation = createReputation(time);
  return { reputation, bans: await openBans({ logger, reputation }, { path }), log };
}

const pathIn = async (t: TestContext): Promise<string> => join(await temporaryDirectory(t), 'bans.json');

test('a liar is still banned after a restart, by id and by address, and for no longer than before', async (t) => {
  const path = await pathIn(t);
  let now = 1_000_000_000;
  const first = await run(path, () => now);
  first.reputation.strike('liar', '10.0.0.1', 'lied');
  first.reputation.strike('noise', '10.0.0.2', 'garbage');
  first.bans.changed();
  await first.bans.stop();
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, '..')), ['bans.json'], 'no temporary file is left');

  now += LIE_BAN - 1;
  const second = await run(path, () => now);
  assert.deepEqual(second.reputation.banned(), ['liar']);
  assert.ok(second.reputation.isAddressBanned('10.0.0.1'));
  assert.equal(second.reputation.strikes('liar'), 1);
  now += 1;
  assert.deepEqual(second.reputation.banned(), []);
  assert.deepEqual(second.log, []);
});

test('a ban that ran out meanwhile is not there after a restart, nor a strike that weighs nothing any more', async (t) => {
  const path = await pathIn(t);
  let now = 1_000_000_000;
  const first = await run(path, () => now);
  first.reputation.strike('liar', '10.0.0.1', 'lied');
  for (let at = 0; at < 4; at++) first.reputation.strike('noise', undefined, 'garbage');
  first.bans.changed();
  await first.bans.stop();

  now += SLIP_BAN;
  const second = await run(path, () => now);
  assert.deepEqual(second.reputation.banned(), ['liar']);
  now += LIE_BAN - SLIP_BAN;
  const third = await run(path, () => now);
  assert.deepEqual(third.reputation.banned(), []);
  assert.ok(!third.reputation.isAddressBanned('10.0.0.1'));
  now += LIE_BAN;
  assert.deepEqual((await run(path, () => now)).reputation.snapshot(), []);
});

test('a clock that was set back makes no ban longer', async (t) => {
  const path = await pathIn(t);
  let now = 2_000_000_000;
  const first = await run(path, () => now);
  first.reputation.strike('liar', undefined, 'lied');
  first.bans.changed();
  await first.bans.stop();
  now -= 1_000_000_000;
  const second = await run(path, () => now);
  assert.deepEqual(second.reputation.banned(), ['liar']);
  now += LIE_BAN;
  assert.deepEqual(second.reputation.banned(), []);
});

test('a file that is damaged, or is none, is put aside with one warning, and the next one is good', async (t) => {
  const good = { strikes: 1, weight: 100, at: 1, bannedUntil: 9e15, slippedAt: 0 };
  for (const damage of [
    '',
    '{"version":1,"subjects":[["peer:x",',
    '{"version":2,"subjects":[]}',
    JSON.stringify({ version: 1, subjects: [['peer:x', { ...good, weight: '100' }]] }),
    JSON.stringify({ version: 1, subjects: [['nobody:x', good]] }),
    ' '.repeat(5 * 1024 * 1024),
    undefined,
  ]) {
    const path = await pathIn(t);
    if (damage === undefined) await mkdir(path);
    else await writeFile(path, damage);
    const { reputation, bans, log } = await run(path, () => 1_000_000_000);
    assert.deepEqual(reputation.banned(), []);
    assert.deepEqual(
      log.map(({ level, path: of, aside }) => ({ level, of, aside })),
      [{ level: 40, of: path, aside: `${path}.broken` }],
    );
    if (damage !== undefined) assert.equal(await readFile(`${path}.broken`, 'utf8'), damage);
    reputation.strike('liar', undefined, 'lied');
    bans.changed();
    await bans.stop();
    assert.deepEqual((await run(path, () => 1_000_000_000)).reputation.banned(), ['liar']);
  }
});

test('a disk that takes no file is one warning', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'file', 'bans.json');
  const { reputation, bans, log } = await run(path, Date.now);
  await writeFile(join(directory, 'file'), '');
  reputation.strike('liar', undefined, 'lied');
  bans.changed();
  await until(() => log.length > 0);
  bans.changed();
  await bans.stop();
  assert.deepEqual(
    log.map(({ level, msg }) => ({ level, msg })),
    [{ level: 40, msg: 'bans cannot be written' }],
  );
});

test('however many strikes there are, the file is written soon and rarely, and whole', async (t) => {
  const path = await pathIn(t);
  const { reputation, bans } = await run(path, Date.now);
  const snapshots: number[] = [];
  const { snapshot } = reputation;
  reputation.snapshot = () => {
    snapshots.push(performance.now());
    return snapshot();
  };
  for (let at = 0; at < 1_000; at++) {
    reputation.strike(`peer-${at}`, undefined, 'garbage');
    bans.changed();
  }
  await until(() => snapshots.length > 0);
  reputation.strike('liar', undefined, 'lied');
  bans.changed();
  await until(() => snapshots.length > 1);
  await bans.stop();
  assert.equal(snapshots.length, 2);
  // A timer may fire a moment early.
  assert.ok((snapshots[1] ?? 0) - (snapshots[0] ?? 0) >= 990);
  assert.equal(JSON.parse(await readFile(path, 'utf8')).subjects.length, 1_001);
  await rm(path);
  bans.changed();
  await bans.stop();
  assert.deepEqual(await readdir(join(path, '..')), ['bans.json'], 'what was noted at the very end is written too');
});

test('an agent that starts again keeps a liar out', async (t) => {
  const bansPath = await pathIn(t);
  const first = await startPeer(t, { bansPath, listen: ['/ip4/127.8.8.8/tcp/0'] });
  // The same port again: the liar dials it.
  const listen = first.swarm.addresses.map((address) => address.replace(/\/p2p\/.*$/, ''));
  const liar = await startPeer(t, { staticPeers: first.swarm.addresses });
  await until(() => first.swarm.hasNeighbours);
  first.swarm.strike(liar.swarm.peerId, 'lied');
  await until(() => !first.swarm.hasNeighbours);
  await first.swarm.stop();

  const second = await startPeer(t, { bansPath, listen, identityPath: first.identityPath });
  assert.equal(second.swarm.isBanned(liar.swarm.peerId), true);
  assert.deepEqual(
    second.swarm.peers().map(({ id, state, strikes }) => ({ id, state, strikes })),
    [{ id: liar.swarm.peerId, state: 'banned', strikes: 1 }],
  );
  const failures = () => liar.log.filter(({ failures }) => typeof failures === 'number').length;
  const before = failures();
  await until(() => failures() >= before + 2);
  assert.equal(second.swarm.hasNeighbours, false);
});
