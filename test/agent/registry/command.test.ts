import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createApp } from '../../../agent/registry/app.ts';
import type { LocalCommand } from '../../../agent/registry/ports.ts';
import { dial, MemoryContent, startMirror, until } from './support.ts';

const post = (url: string) => fetch(url, { method: 'POST' });

test('a command is asked with its parameters, and answers with one value', async (t) => {
  const say: LocalCommand = async ({ one, optional, flag }) => ({
    one: one('one'),
    optional: optional('optional') ?? null,
    flags: [flag('yes'), flag('no'), flag('none')],
  });
  const { url } = await startMirror(t, {}, { say });
  const answer = await post(`${url}/agent/say?one=a%20b&yes=true&no=false`);
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.deepEqual(await answer.json(), { one: 'a b', optional: null, flags: [true, false, false] });
  for (const query of ['', '?one=1&one=2', '?one=1&optional=a&optional=b']) {
    assert.equal((await post(`${url}/agent/say${query}`)).status, 400, query);
  }
  assert.equal((await post(`${url}/agent/none`)).status, 404);
  assert.equal((await fetch(`${url}/agent/say?one=1`)).status, 404, 'by a link nothing is done');
});

test('long work answers line by line, and an error after the first line is the last one', async (t) => {
  async function* count() {
    yield { at: 1 };
    yield { at: 2 };
    throw new AgentError('UPSTREAM_UNREACHABLE', 'away');
  }
  async function* fail() {
    if (Date.now() > 0) throw new AgentError('UPSTREAM_UNREACHABLE', 'away');
    yield {};
  }
  const { url } = await startMirror(t, {}, { count, fail });
  const answer = await post(`${url}/agent/count`);
  assert.equal(answer.headers.get('content-type'), 'application/x-ndjson');
  const lines = (await answer.text()).split('\n').filter((line) => line !== '');
  assert.deepEqual(lines.slice(0, 2), ['{"at":1}', '{"at":2}']);
  assert.equal(lines.length, 3);
  assert.equal(JSON.parse(lines[2]!).errors[0].detail.error, 'UPSTREAM_UNREACHABLE');
  assert.equal((await post(`${url}/agent/fail`)).status, 502, 'before the first it has a status of its own');
});

test('what nobody expected after the first line is in the log, as the last line says', async (t) => {
  async function* broken() {
    yield { at: 1 };
    throw new TypeError('a bug');
  }
  const { url, log } = await startMirror(t, {}, { broken });
  const lines = (await (await post(`${url}/agent/broken`)).text()).trim().split('\n');
  assert.equal(JSON.parse(lines[1]!).errors[0].message, 'The agent failed; its log says more.');
  const [failure, ...more] = log.filter(({ msg }) => msg === 'command failed');
  assert.match(JSON.stringify(failure), /a bug/);
  assert.equal(failure?.url, '/agent/broken');
  assert.deepEqual(more, []);
});

test('the work ends when the caller leaves', async (t) => {
  let hasEnded = false;
  let lines = 0;
  async function* forever({ signal }: Parameters<LocalCommand>[0]) {
    try {
      for (;;) {
        lines += 1;
        yield { lines };
        await new Promise((resolve) => setTimeout(resolve, 1));
        signal.throwIfAborted();
      }
    } finally {
      hasEnded = true;
    }
  }
  const { port } = await startMirror(t, {}, { forever });
  const socket = await dial(t, port);
  socket.write('POST /agent/forever HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  await once(socket, 'data');
  assert.ok(lines > 0);
  socket.destroy();
  await until(() => hasEnded);
});

test('another machine, which may pull, commands nothing', async () => {
  let asked = 0;
  const app = createApp(
    {
      logger: pino({ level: 'silent' }),
      metrics: createMetrics(),
      content: new MemoryContent(),
      status: () => ({}),
      health: () => ({ ok: true }),
      commands: { ls: async () => ({ asked: ++asked }) },
    },
    {
      clientStallTimeout: 1000,
      allowedHosts: new Set(),
      closing: new AbortController().signal,
      isDraining: () => false,
      admit: () => {},
    },
  );
  const from = (remoteAddress: string) => app.inject({ method: 'POST', url: '/agent/ls', remoteAddress });
  assert.equal((await from('127.0.0.1')).statusCode, 200);
  const refused = await from('192.0.2.6');
  assert.equal(refused.statusCode, 403);
  assert.equal(refused.json().errors[0].detail.error, 'REQUEST_DENIED');
  assert.equal(asked, 1);
  await app.close();
});
