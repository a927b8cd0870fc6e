import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type Credential, credentialOf } from '../../../agent/upstream/credentials/source.ts';
import { createTokens, parseToken, type Token, type TokenQuery } from '../../../agent/upstream/token.ts';
import { REPOSITORY } from './fixture.ts';

const NOW = Date.UTC(2030, 0, 1);
const ENDPOINT = { origin: 'https://registry', prefix: '', isConfigured: true };
const CHALLENGE = { realm: 'https://registry/token', service: undefined, scope: undefined };
const never = new AbortController().signal;

function parsed(value: unknown): Token | undefined {
  return parseToken(Buffer.from(JSON.stringify(value)), NOW);
}

test('token, else access_token; 60 s unless said otherwise', () => {
  assert.deepEqual(parsed({ token: 'a', access_token: 'b' }), { value: 'a', lifetime: 60_000 });
  assert.deepEqual(parsed({ access_token: 'b', expires_in: 300 }), { value: 'b', lifetime: 300_000 });
});

test('life is counted from issued_at where that makes sense', () => {
  const at = (offset: number): string => new Date(NOW + offset).toISOString();
  assert.equal(parsed({ token: 'a', expires_in: 300, issued_at: at(-100_000) })?.lifetime, 200_000);
  assert.equal(parsed({ token: 'a', expires_in: 300, issued_at: at(100_000) })?.lifetime, 300_000);
  assert.equal(parsed({ token: 'a', expires_in: 300, issued_at: at(-9e9) })?.lifetime, 300_000);
  assert.equal(parsed({ token: 'a', expires_in: -1, issued_at: 'yesterday' })?.lifetime, 60_000);
});

test('what is no token', () => {
  for (const value of [{}, null, [], 'token', { token: '' }, { token: 'a\r\nb: c' }, { token: 7 }]) {
    assert.equal(parsed(value), undefined, JSON.stringify(value));
  }
  assert.equal(parseToken(Buffer.from('{'), NOW), undefined);
  fc.assert(fc.property(fc.json(), (text) => parseToken(Buffer.from(text), NOW) === undefined));
});

const QUERY = { endpoint: ENDPOINT, repository: REPOSITORY, challenge: CHALLENGE, credential: undefined };

test('one flight for all who want the same token; then it is kept until it ends', async () => {
  let now = NOW;
  let fetched = 0;
  const fetch = async (): Promise<Token> => ({ value: `token-${++fetched}`, lifetime: 60_000 });
  const tokens = createTokens(fetch, never, () => now);
  const renew = (refused?: string) => tokens.renew(QUERY, refused, never);
  const current = () => tokens.current(ENDPOINT, REPOSITORY);
  assert.equal(current(), undefined);
  assert.deepEqual(await Promise.all([renew(), renew(), renew()]), ['token-1', 'token-1', 'token-1']);
  assert.equal(current()?.value, 'token-1');
  assert.equal(tokens.current(ENDPOINT, { ...REPOSITORY, name: 'other' }), undefined);
  assert.equal(await renew('token-0'), 'token-1', 'somebody has renewed it meanwhile');
  assert.equal(await renew('token-1'), 'token-2');
  now += 43_000;
  assert.equal(current()?.isDue, false);
  now += 2_000;
  assert.equal(current()?.isDue, true);
  assert.equal(current()?.isDue, false, 'told once');
  now += 11_000;
  assert.equal(current(), undefined);
});

test('a token that one credential was given is not another’s', async () => {
  const shown: (string | undefined)[] = [];
  const fetch = async ({ credential }: TokenQuery): Promise<Token> => {
    shown.push(credential?.id);
    return { value: `of ${credential?.id}`, lifetime: 60_000 };
  };
  const tokens = createTokens(fetch, never, () => NOW);
  const [one, other] = ['one', 'other'].map((password) =>
    credentialOf({ kind: 'password', username: 'me', password }),
  ) as [Credential, Credential];
  for (const credential of [undefined, one, one, other, undefined]) {
    assert.equal(await tokens.renew({ ...QUERY, credential }, undefined, never), `of ${credential?.id}`);
    assert.equal(tokens.current(ENDPOINT, REPOSITORY)?.credential, credential);
  }
  assert.deepEqual(shown, [undefined, one.id, other.id, undefined]);
});

test('no token is used for longer than an hour', async () => {
  let now = NOW;
  const fetch = async (): Promise<Token> => ({ value: 'a', lifetime: 86_400_000 });
  const tokens = createTokens(fetch, never, () => now);
  await tokens.renew(QUERY, undefined, never);
  now += 3_590_000;
  assert.ok(tokens.current(ENDPOINT, REPOSITORY));
  now += 6_000;
  assert.equal(tokens.current(ENDPOINT, REPOSITORY), undefined);
});

test('nor where the clock on the wall is put back meanwhile', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: NOW });
  let elapsed = 0;
  context.mock.method(performance, 'now', () => elapsed);
  const tokens = createTokens(async () => ({ value: 'a', lifetime: 3_600_000 }), never);
  await tokens.renew(QUERY, undefined, never);
  context.mock.timers.setTime(NOW - 86_400_000);
  assert.ok(tokens.current(ENDPOINT, REPOSITORY), 'it came a moment ago');
  elapsed += 3_600_000;
  assert.equal(tokens.current(ENDPOINT, REPOSITORY), undefined);
});

test('who leaves does not stop the flight of the others; a failed one is not kept', async () => {
  const flight = Promise.withResolvers<Token>();
  let result: Promise<Token> = flight.promise;
  const tokens = createTokens(
    () => result,
    never,
    () => NOW,
  );
  const leaver = new AbortController();
  const left = tokens.renew(QUERY, undefined, leaver.signal);
  const stayed = tokens.renew(QUERY, undefined, never);
  leaver.abort(new Error('left'));
  await assert.rejects(left, /left/);
  flight.reject(new Error('no token'));
  await assert.rejects(stayed, /no token/);
  result = Promise.resolve({ value: 'second', lifetime: 60_000 });
  assert.equal(await tokens.renew(QUERY, undefined, never), 'second');
});
