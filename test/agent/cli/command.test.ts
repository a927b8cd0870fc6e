import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { followAgent } from '../../../agent/cli/command.ts';
import { configOf } from '../../../agent/cli/options.ts';
import { createProgress } from '../../../agent/cli/progress.ts';

const schema = z.object({ at: z.number() });
const command = { name: 'count', parameters: { to: '3 a' }, what: 'count', about: 'three' };

/** Something that answers by `answer`; what follows the agent there. */
async function agent(t: TestContext, answer: (url: string, response: ServerResponse) => void) {
  const server = createServer((request, response) => answer(request.url ?? '', response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return () => followAgent(configOf({ set: [`mirror.listen=127.0.0.1:${port}`] }), command, schema);
}

async function read(lines: ReturnType<typeof followAgent<{ at: number }>>) {
  const read: unknown[] = [];
  for await (const { json } of lines) read.push(json);
  return read;
}

test('lines are read as they come, however they are cut, and empty ones say nothing', async (t) => {
  let asked = '';
  const follow = await agent(t, (url, response) => {
    asked = url;
    response.write('\n{"at":1,"more":"é');
    response.write('"}\n\n{"at":2}\n{"at":');
    response.end('3}\n');
  });
  assert.deepEqual(await read(follow()), [{ at: 1, more: 'é' }, { at: 2 }, { at: 3 }]);
  assert.equal(asked, '/agent/count?to=3+a');
});

test('an error in the middle, an end that is none, and what is no agent', async (t) => {
  const told = { errors: [{ code: 'UNKNOWN', message: 'away', detail: { error: 'UPSTREAM_UNREACHABLE', means: '' } }] };
  const cases: [answer: (url: string, response: ServerResponse) => void, code: string, message: RegExp][] = [
    [(_, response) => response.end(`{"at":1}\n${JSON.stringify(told)}\n`), 'UPSTREAM_UNREACHABLE', /^three: away$/],
    [(_, response) => response.writeHead(404).end('no'), 'AGENT_NOT_RUNNING', /is no layerlan agent \(404\)/],
    [(_, response) => response.writeHead(503).end(), 'AGENT_NOT_RUNNING', /is no layerlan agent \(503\)/],
    [
      (_, response) => response.write('{"at":1}\n', () => response.destroy()),
      'AGENT_NOT_RUNNING',
      /^no agent answers at [^ ]+: aborted/,
    ],
  ];
  for (const [answer, code, message] of cases) {
    const follow = await agent(t, answer);
    await assert.rejects(read(follow()), { code, message });
  }
});

test('progress is one line on a terminal, and now and then a line elsewhere', async () => {
  let now = 0;
  let err = '';
  const terminal = {
    env: {},
    out: async () => {},
    err: async (text: string) => {
      err += text;
    },
  };
  const onTerminal = createProgress({ ...terminal, isTerminal: true, columns: 5 }, () => now);
  for (const text of ['1 of 3 x', '2 of 3 x']) {
    await onTerminal.show(text);
    await onTerminal.show('too soon');
    now += 100;
  }
  await onTerminal.clear();
  await onTerminal.clear();
  assert.equal(err, '\r\u001b[K1 of\r\u001b[K2 of\r\u001b[K');
  err = '';
  const elsewhere = createProgress(terminal, () => now);
  for (let step = 0; step < 12; step++) {
    await elsewhere.show(`step ${step}`);
    now += 1000;
  }
  await elsewhere.clear();
  assert.equal(err, 'step 5\nstep 10\n');
});
