import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import type { Share } from '../../../../agent/fetch/privacy/standing.ts';
import { Standings } from '../../../../agent/fetch/privacy/standings.ts';
import { memoryStandings } from '../../../support/memory-standings.ts';
import { type MemoryUpstream, memoryUpstream } from '../../../support/memory-upstream.ts';

const APP = { registry: 'ghcr.io', name: 'group/app' };
const MINUTE = 60_000;
const never = new AbortController().signal;

let upstream: MemoryUpstream;
let records: ReturnType<typeof memoryStandings>;
let now: number;
let share: Share;
let stop: AbortController;
let standings: Standings;

beforeEach(() => {
  upstream = memoryUpstream();
  upstream.private.add(APP.name);
  records = memoryStandings();
  now = 1_763_771_234_567;
  share = 'public';
  stop = new AbortController();
  standings = begin();
});

afterEach(() => stop.abort(new Error('the test is over')));

/** As after a start. */
function begin(): Standings {
  const components = { upstream, records, logger: pino({ enabled: false }), now: () => now };
  return new Standings(components, () => share, stop.signal);
}

const decide = (reference?: string) => standings.decide(APP, reference, never);

test('it is asked once, by the manifest that is wanted, and remembered, over a restart too', async () => {
  upstream.said.set(APP.name, 'public');
  assert.equal(standings.isShared(APP), false);
  assert.equal(await decide('latest'), true);
  assert.equal(await decide('v2'), true);
  standings = begin();
  assert.equal(standings.isShared(APP), true);
  assert.equal(await decide('v3'), true);
  assert.deepEqual(upstream.anonymousAsks, ['group/app latest']);
});

test('who asks at once asks once', async () => {
  upstream.said.set(APP.name, 'public');
  const shared = await Promise.all(Array.from({ length: 20 }, (_, at) => decide(`v${at}`)));
  assert.deepEqual(new Set(shared), new Set([true]));
  assert.equal(upstream.anonymousAsks.length, 1);
});

test('one that turns private is found out within the hour, and what was remembered with it', async () => {
  upstream.said.set(APP.name, 'public');
  assert.equal(await decide('latest'), true);
  upstream.said.set(APP.name, 'denied');
  now += 59 * MINUTE;
  assert.equal(await decide('latest'), true);
  now += MINUTE;
  assert.equal(await decide('latest'), false);
  standings = begin();
  assert.equal(standings.isShared(APP), false);
  // And back.
  upstream.said.set(APP.name, 'public');
  now += 61 * MINUTE;
  assert.equal(await decide('latest'), true);
});

test('a registry that does not say: private, and asked again soon; public only where it was', async () => {
  upstream.away = 'UPSTREAM_UNREACHABLE';
  assert.equal(await decide(), false);
  assert.equal(await decide(), false);
  assert.equal(upstream.anonymousAsks.length, 1);
  assert.equal(records.find(APP), undefined);
  now += 30_000;
  upstream.away = undefined;
  upstream.said.set(APP.name, 'public');
  assert.equal(await decide(), true);
  upstream.away = 'UPSTREAM_RATE_LIMITED';
  now += 23 * 60 * MINUTE;
  assert.equal(await decide(), true, 'the day is not over');
  now += 60 * MINUTE;
  assert.equal(await decide(), false);
});

test('nobody waits for an answer that does not come; it counts when it has', async () => {
  upstream.said.set(APP.name, 'public');
  const answer = Promise.withResolvers<void>();
  upstream.anonymousPause = () => answer.promise;
  assert.equal(await decide('latest'), false);
  assert.equal(standings.isSettled(APP), false);
  const found = new Promise((resolve) => standings.onPublic(resolve));
  answer.resolve();
  assert.deepEqual(await found, APP);
  assert.equal(standings.isShared(APP), true);
  assert.equal(upstream.anonymousAsks.length, 1);
});

test('a client that leaves does not end the question, and the end of the agent does', async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  upstream.anonymousPause = (signal) => {
    asked.resolve(signal);
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const client = new AbortController();
  const decided = standings.decide(APP, 'latest', client.signal);
  const signal = await asked.promise;
  client.abort(new Error('gone'));
  await assert.rejects(decided, /gone/);
  assert.equal(signal.aborted, false);
  stop.abort(new Error('the agent stops'));
  assert.equal(signal.aborted, true);
});

test('only so many repositories are asked about at once; the others are private until they are', async () => {
  upstream.anonymousPause = (signal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  for (let number = 0; number < 100; number++) {
    const repository = { registry: 'ghcr.io', name: `group/${number}` };
    upstream.private.add(repository.name);
    standings.look(repository, 'latest');
  }
  assert.equal(upstream.anonymousAsks.length, 64);
  assert.equal(standings.isShared({ registry: 'ghcr.io', name: 'group/99' }), false);
});

test('where there is nothing to find out nobody is asked', async () => {
  share = 'all';
  assert.equal(await decide(), true);
  share = 'none';
  assert.equal(await decide(), false);
  assert.equal(await standings.decide({ registry: 'docker.io', name: 'library/app' }), false);
  share = 'public';
  assert.equal(await standings.decide({ registry: 'docker.io', name: 'library/app' }), true);
  assert.deepEqual(upstream.anonymousAsks, []);
});
