import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refreshedText } from '../../../agent/cli/refresh.ts';
import { command, serve } from './support.ts';

const OLD = `sha256:${'a'.repeat(64)}`;
const NEW = `sha256:${'b'.repeat(64)}`;
const IMAGE = 'docker.io/library/alpine:latest';
const is = { digest: NEW, mediaType: 'a/b', size: 5 };
const checkedAt = '2026-11-22T10:00:00.000Z';
const now = Date.parse(checkedAt) + 185_000;

const problem = (error: string | null, message: string) =>
  JSON.stringify({ errors: [{ code: 'UNKNOWN', message, detail: error && { error, means: '' } }] });

test('what a tag was and is, in a line', () => {
  assert.equal(
    refreshedText({ image: IMAGE, was: null, is }, now),
    `${IMAGE} is ${NEW}; nothing was known of it here.\n`,
  );
  assert.equal(
    refreshedText({ image: IMAGE, was: { digest: NEW, checkedAt }, is }, now),
    `${IMAGE} is ${NEW}, as it was 3 min 5 s ago.\n`,
  );
  assert.equal(
    refreshedText({ image: IMAGE, was: { digest: OLD, checkedAt }, is }, now),
    `${IMAGE} has moved: it is ${NEW}; 3 min 5 s ago it was ${OLD}.\n`,
  );
});

test('as JSON it is what the agent says', async (t) => {
  const answer = { image: IMAGE, was: null, is, later: 'more' };
  const port = await serve(t, JSON.stringify(answer));
  const { exit, out } = await command('refresh', 'alpine', '--json', '--set', `mirror.listen=127.0.0.1:${port}`);
  assert.equal(exit, 0);
  assert.deepEqual(JSON.parse(out), answer);
});

test('what is no image is told before anybody is asked', async () => {
  for (const image of ['Alpine', `alpine@${OLD}`, '']) {
    const { exit, out, err } = await command('refresh', image);
    assert.deepEqual({ exit, out }, { exit: 2, out: '' });
    assert.match(err, /^layerlan: "[^\n]* is no image with a tag: [^\n]+\n$/);
  }
});

test('what goes wrong is one line and an exit code', async (t) => {
  const cases: [port: number, exit: number, message: RegExp][] = [
    [1, 1, /no agent answers at 127\.0\.0\.1:1: connection refused/],
    [await serve(t, 'hello'), 1, /is no layerlan agent \(200\)/],
    [await serve(t, '{"is":{}}'), 1, /is no layerlan agent \(200\)/],
    [await serve(t, problem('ROUTE_UNKNOWN', 'nothing'), 404), 1, /cannot refresh a tag: nothing \(404\)/],
    [await serve(t, problem(null, 'The agent failed.'), 500), 1, /cannot refresh a tag: The agent failed\. \(500\)/],
    [
      await serve(t, problem('MANIFEST_UNKNOWN', 'no such tag'), 404),
      1,
      /docker\.io\/library\/alpine:latest: no such tag/,
    ],
    [await serve(t, problem('UPSTREAM_UNREACHABLE', 'a\u001b[2Jway'), 502), 1, /alpine:latest: a.*way/],
  ];
  for (const [port, code, message] of cases) {
    const { exit, out, err } = await command('refresh', 'alpine', '--set', `mirror.listen=127.0.0.1:${port}`);
    assert.deepEqual({ exit, out }, { exit: code, out: '' });
    assert.match(err, message);
    assert.match(err, /^layerlan: [^\n]+\n$/);
    assert.ok(!err.includes('\u001b'));
  }
});
