import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createHelpers, type HelpersInit } from '../../../../agent/upstream/credentials/helper.ts';
import { failsWith } from '../fixture.ts';
import { homeOf, never, user } from './fixture.ts';

const ANSWER = `read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"me\\",\\"Secret\\":\\"for $server $1\\"}"`;

async function helpersOf(context: TestContext, scripts: Record<string, string>, init: Partial<HelpersInit> = {}) {
  const home = await homeOf(context);
  for (const [name, script] of Object.entries(scripts)) await home.helper(name, script);
  const helpers = createHelpers({ env: { ...home.env, HOME: home.path }, stopped: never, ...init });
  const get = async (name: string, server = 'a.example') =>
    (await helpers.get(name, server, { refused: undefined }, never)).secret;
  return { home, helpers, get };
}

test('a helper hears the server and its answer is what is used', async (context) => {
  const { get } = await helpersOf(context, { some: ANSWER, token: `echo '{"Username":"<token>","Secret":"refresh"}'` });
  assert.deepEqual(await get('some'), user('me', 'for a.example get'));
  assert.deepEqual(await get('token'), { kind: 'identity-token', token: 'refresh' });
});

test('one run for all who ask; the answer is kept, until it is old, or refused and not young', async (context) => {
  let now = 0;
  const count = `echo run >> "$HOME/runs"; ${ANSWER}`;
  const { home, helpers, get } = await helpersOf(context, { some: count }, { now: () => now });
  const runs = () => readFileSync(join(home.path, 'runs'), 'utf8').trim().split('\n').length;
  await Promise.all([get('some'), get('some'), get('some')]);
  assert.equal(runs(), 1);
  await get('some', 'b.example');
  assert.equal(runs(), 2);
  const refused = await helpers.get('some', 'a.example', { refused: undefined }, never);
  now = 10_000;
  await helpers.get('some', 'a.example', { refused }, never);
  assert.equal(runs(), 2, 'it was asked a moment ago');
  now = 40_000;
  await helpers.get('some', 'a.example', { refused }, never);
  assert.equal(runs(), 3);
  now = 300_000;
  await get('some');
  assert.equal(runs(), 3);
  now = 341_000;
  await get('some');
  assert.equal(runs(), 4);
});

test('a failure is kept for a shorter while', async (context) => {
  let now = 0;
  const { home, get } = await helpersOf(context, { some: `echo run >> "$HOME/runs"; exit 1` }, { now: () => now });
  const runs = () => readFileSync(join(home.path, 'runs'), 'utf8').trim().split('\n').length;
  await assert.rejects(get('some'));
  now = 29_000;
  await assert.rejects(get('some'));
  assert.equal(runs(), 1);
  now = 31_000;
  await assert.rejects(get('some'));
  assert.equal(runs(), 2);
});

test('what goes wrong is told by the helper’s name, never by what it said', async (context) => {
  const { home, get } = await helpersOf(
    context,
    {
      fails: 'echo hunter2; echo hunter2 >&2; exit 3',
      none: 'echo "credentials not found in native keychain"; exit 1',
      garbage: 'echo "{hunter2"',
      empty: `echo '{"Username":"hunter2","Secret":""}'`,
      endless: 'exec yes hunter2',
      hangs: 'sleep 600 & echo $! > "$HOME/pid"; wait',
      deaf: 'exec <&-; exit 4',
    },
    { timeout: 2_000 },
  );
  for (const [name, message] of [
    ['fails', /docker-credential-fails failed for a\.example \(exit code 3\)/],
    ['none', /docker-credential-none has no credentials for a\.example/],
    ['garbage', /docker-credential-garbage answered .* something else/],
    ['empty', /docker-credential-empty answered .* something else/],
    ['endless', /put out more than 65536 bytes/],
    ['hangs', /did not answer within 2000 ms/],
    ['deaf', /exit code 4/],
    ['missing', /docker-credential-missing is not installed/],
    ['../../bin/sh', /name of a credential helper may hold/],
    ['-x', /name of a credential helper may hold/],
    ['a\n', /name of a credential helper may hold/],
  ] as const) {
    await assert.rejects(get(name), (error: Error) => {
      assert.ok(failsWith('CREDENTIALS_UNUSABLE', message)(error), `${name}: ${error.message}`);
      assert.doesNotMatch(`${error.stack}`, /hunter2/);
      assert.equal(error.cause, undefined);
      return true;
    });
  }
  const child = Number(readFileSync(join(home.path, 'pid'), 'utf8'));
  // What it started goes with it; the kernel may take a moment to let a killed process go.
  const isGone = () =>
    !existsSync(`/proc/${child}`) || /^State:\s+[ZX]/m.test(readFileSync(`/proc/${child}/status`, 'utf8'));
  while (!isGone()) await new Promise(setImmediate);
});

test('it ends with the agent', async (context) => {
  const stop = new AbortController();
  const { get } = await helpersOf(context, { hangs: 'exec sleep 600' }, { stopped: stop.signal });
  const asked = get('hangs');
  stop.abort();
  await assert.rejects(asked, failsWith('CREDENTIALS_UNUSABLE', /ended with the agent/));
});
