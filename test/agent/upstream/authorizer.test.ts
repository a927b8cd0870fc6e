import assert from 'node:assert/strict';
import test from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { type Authorization, createAuthorizer } from '../../../agent/upstream/authorizer.ts';
import type { Found } from '../../../agent/upstream/credentials/lookup.ts';
import { credentialOf } from '../../../agent/upstream/credentials/source.ts';
import { createRefusals } from '../../../agent/upstream/refusals.ts';
import { createTokens, type TokenQuery } from '../../../agent/upstream/token.ts';
import { REPOSITORY } from './fixture.ts';

const endpoint = { origin: 'https://registry.example', prefix: '', isConfigured: true };
const credential = credentialOf({ kind: 'password', username: 'me', password: 'pw' });
const problem = new AgentError('CREDENTIALS_UNUSABLE', 'the file is gone');
const never = new AbortController().signal;
const BEARER = 'Bearer realm="https://registry.example/token"';

/** An authorizer at a clock of its own, whose token server counts. */
function start() {
  const server = { now: 0, found: { credential, problem: undefined } as Found, asked: [] as TokenQuery[] };
  const fetch = async (query: TokenQuery) => {
    server.asked.push(query);
    return { value: `token-${server.asked.length}`, lifetime: 300_000 };
  };
  const tokens = createTokens(fetch, never, () => server.now);
  const authorizer = createAuthorizer(async () => server.found, tokens, createRefusals(), never);
  const current = async () => (await authorizer.current(endpoint, REPOSITORY, never))?.header;
  return { server, authorizer, current };
}

const settled = () => new Promise(setImmediate);

test('a token is renewed behind a request, before it ends', async () => {
  const { server, authorizer, current } = start();
  assert.equal(await current(), undefined);
  await authorizer.meet(endpoint, REPOSITORY, BEARER, undefined, never);
  server.now = 200_000;
  assert.equal(await current(), 'Bearer token-1');
  await settled();
  assert.equal(server.asked.length, 1);
  server.now = 250_000;
  assert.equal(await current(), 'Bearer token-1', 'it need not wait');
  await settled();
  assert.equal(await current(), 'Bearer token-2');
  assert.deepEqual(
    server.asked.map((query) => query.credential?.id),
    [credential.id, credential.id],
  );
});

test('a token that still counts is not given up for an anonymous one', async () => {
  const { server, authorizer, current } = start();
  await authorizer.meet(endpoint, REPOSITORY, BEARER, undefined, never);
  server.found = { credential: undefined, problem };
  server.now = 250_000;
  await current();
  await settled();
  assert.equal(server.asked.length, 1);
  assert.equal(await current(), 'Bearer token-1');
});

test('a token that was not enough is used no more, unless it was replaced meanwhile', async () => {
  const { authorizer, current } = start();
  const sent = await authorizer.meet(endpoint, REPOSITORY, BEARER, undefined, never);
  await authorizer.denied(endpoint, REPOSITORY, 'a manifest', sent, never);
  assert.equal(await current(), undefined);
  await authorizer.meet(endpoint, REPOSITORY, BEARER, undefined, never);
  await authorizer.denied(endpoint, REPOSITORY, 'a manifest', sent, never);
  assert.equal(await current(), 'Bearer token-2');
});

test('a wrong password is not shown for what a Basic registry gives to anybody', async () => {
  const { server, authorizer, current } = start();
  const BASIC = 'Basic realm="a registry"';
  const meet = (sent?: Authorization) => authorizer.meet(endpoint, REPOSITORY, BASIC, sent, never);
  const sent = await meet();
  assert.equal(await current(), sent?.header, 'it need not be refused first');
  await assert.rejects(meet(sent), { code: 'UPSTREAM_DENIED' });
  assert.equal(await current(), undefined, 'it is asked without');
  await assert.rejects(meet(), { code: 'UPSTREAM_DENIED', message: /asked with them again in \d+ s/ });
  server.found = {
    credential: credentialOf({ kind: 'password', username: 'me', password: 'new' }),
    problem: undefined,
  };
  const changed = await meet();
  assert.equal(await current(), changed?.header);
});
