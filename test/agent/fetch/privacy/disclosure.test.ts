import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { Disclosure } from '../../../../agent/fetch/privacy/disclosure.ts';
import type { Share } from '../../../../agent/fetch/privacy/standing.ts';
import { Standings } from '../../../../agent/fetch/privacy/standings.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import { until } from '../../../support/host.ts';
import { memoryStandings } from '../../../support/memory-standings.ts';
import { type MemoryStore, memoryStore } from '../../../support/memory-store.ts';
import { type MemoryUpstream, memoryUpstream } from '../../../support/memory-upstream.ts';

const PUBLIC = { registry: 'ghcr.io', name: 'group/public' };
const PRIVATE = { registry: 'ghcr.io', name: 'group/secret' };
const OTHER = { registry: 'liar.example', name: 'evil/app' };
const never = new AbortController().signal;

let upstream: MemoryUpstream;
let store: MemoryStore;
let standings: Standings;
let share: Share;
let disclosure: Disclosure;
let stop: AbortController;

beforeEach(() => {
  upstream = memoryUpstream();
  for (const { name } of [PUBLIC, PRIVATE]) upstream.private.add(name);
  upstream.said.set(PUBLIC.name, 'public');
  store = memoryStore();
  share = 'public';
  stop = new AbortController();
  const logger = pino({ enabled: false });
  const records = memoryStandings();
  standings = new Standings({ upstream, records, logger, now: Date.now }, () => share, stop.signal);
  const { anonymous } = upstream;
  disclosure = new Disclosure({ store, anonymous, standings, logger }, stop.signal);
});

afterEach(() => stop.abort(new Error('the test is over')));

/** Content that is held, and private. */
async function keep(text: string, registry = 'ghcr.io', isUpstream = true): Promise<Digest> {
  const bytes = Buffer.from(text);
  const digest = isUpstream ? upstream.add(bytes) : toDigest('sha256', hash('sha256', bytes, 'buffer'));
  store.keepPrivate(digest, registry);
  await store.put(digest, bytes, null);
  return digest;
}

/** Considers, and waits until that has come to its end: `last` is public for sure, and asked for after the others. */
async function considered(repository: typeof PUBLIC, digests: readonly Digest[]): Promise<void> {
  disclosure.consider(repository, digests);
  const last = await keep(`last ${Math.random()}`);
  await standings.decide(PUBLIC, 'latest', never);
  disclosure.consider(PUBLIC, [last]);
  await until('all is asked for', () => !store.isPrivate(last));
}

test('what the registry gives to anybody, of a public repository, is public; what it does not, is not', async () => {
  const [base, secret] = [await keep('a base layer'), await keep('a secret', 'ghcr.io', false)];
  await considered(PUBLIC, [base, secret]);
  assert.equal(store.isPrivate(base), false);
  assert.equal(store.held(base)?.size, 12);
  assert.equal(store.isPrivate(secret), true);
  // A client that asks again and again does not make upstream be asked as often.
  await considered(PUBLIC, [secret]);
  assert.equal(upstream.anonymousAsks.filter((ask) => ask.includes(secret)).length, 1);
});

test('of a private repository nothing is asked for, whatever the registry would say', async () => {
  await standings.decide(PRIVATE, 'latest', never);
  const digest = await keep('a secret');
  await considered(PRIVATE, [digest]);
  assert.equal(store.isPrivate(digest), true);
  assert.ok(!upstream.anonymousAsks.some((ask) => ask.includes(digest)));
});

test('another registry is not asked: it may say yes to any digest that it has heard of', async () => {
  const digest = await keep('a secret');
  await considered(OTHER, [digest]);
  assert.equal(store.isPrivate(digest), true);
  assert.ok(!upstream.anonymousAsks.some((ask) => ask.includes(digest)));
});

test('nor is one of two that it is private for', async () => {
  const digest = await keep('a secret of two');
  store.keepPrivate(digest, 'registry.lan:5000');
  await considered(PUBLIC, [digest]);
  assert.equal(store.isPrivate(digest), true);
});

test('what has become another registry’s while it was asked for stays private', async () => {
  const digest = await keep('a secret');
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  await standings.decide(PUBLIC, 'latest', never);
  upstream.anonymousPause = () => {
    asked.resolve();
    return answer.promise;
  };
  disclosure.consider(PUBLIC, [digest]);
  await asked.promise;
  store.keepPrivate(digest, 'registry.lan:5000');
  answer.resolve();
  await considered(PUBLIC, []);
  assert.equal(store.isPrivate(digest), true);
});

test('what was taken before the registry had answered is public once it has', async () => {
  const digest = await keep('taken too early');
  const answer = Promise.withResolvers<void>();
  upstream.anonymousPause = () => answer.promise;
  standings.look(PUBLIC, 'latest');
  disclosure.consider(PUBLIC, [digest]);
  assert.equal(store.isPrivate(digest), true);
  answer.resolve();
  await until('it is public', () => !store.isPrivate(digest));
});

test('a registry that is away says nothing; nothing is lost of it', async () => {
  const digest = await keep('asked for while it is away');
  await standings.decide(PUBLIC, 'latest', never);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  disclosure.consider(PUBLIC, [digest]);
  await until('it was asked', () => upstream.anonymousAsks.some((ask) => ask.includes(digest)));
  upstream.away = undefined;
  await considered(PUBLIC, []);
  assert.equal(store.isPrivate(digest), true);
});

test('share: all needs nobody’s word, and none takes nobody’s', async () => {
  const digest = await keep('a secret', 'ghcr.io', false);
  share = 'none';
  disclosure.consider(PRIVATE, [digest]);
  assert.equal(store.isPrivate(digest), true);
  share = 'all';
  disclosure.consider(OTHER, [digest]);
  disclosure.consider(PRIVATE, [digest]);
  await until('it is public', () => !store.isPrivate(digest));
  assert.deepEqual(upstream.anonymousAsks, []);
});
