import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import type { Agent } from '../../../agent/agent.ts';
import { run } from '../../../agent/cli/start.ts';
import { loadConfig } from '../../../agent/config/load.ts';
import { AgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { sampleStatus } from './support.ts';

interface Stage {
  readonly process: EventEmitter;
  readonly log: Record<string, unknown>[];
  readonly exits: number[];
  stops: number;
}

function stage(blobs = 0) {
  const log: Record<string, unknown>[] = [];
  const process = new EventEmitter();
  const set: Stage = { process, log, exits: [], stops: 0 };
  const agent: Agent = {
    mirror: ['127.0.0.1:5055'],
    peerId: 'me',
    peerAddresses: ['/ip4/127.0.0.1/tcp/4055'],
    metrics: createMetrics(),
    status: async () => ({ ...sampleStatus(), store: { ...sampleStatus().store, path: '/s', blobs } }),
    stop: async () => {
      set.stops += 1;
    },
  };
  const logger = pino({}, { write: (line: string) => void log.push(JSON.parse(line)) });
  const config = loadConfig({ set: ['store.path=/s'] }, { isRoot: false, home: '/h', cwd: '/', env: {} });
  const begin = (startAgent: () => Promise<Agent> = async () => agent) =>
    run(config, { startAgent, process, exit: (code) => void set.exits.push(code), logger });
  return { set, agent, begin };
}

const messages = ({ log }: Stage) => log.map(({ msg }) => msg);
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('ready is one line that says where; SIGTERM drains and exits 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const { set, begin } = stage(3);
    const exit = begin();
    await turn();
    const [ready] = set.log;
    assert.equal(set.log.length, 1);
    assert.equal(ready?.msg, 'ready');
    assert.deepEqual(ready?.mirror, ['127.0.0.1:5055']);
    assert.equal(ready?.peerId, 'me');
    assert.deepEqual(ready?.peerAddresses, ['/ip4/127.0.0.1/tcp/4055']);
    assert.equal(ready?.store, '/s');
    set.process.emit(signal, signal);
    assert.equal(await exit, 0);
    assert.equal(set.stops, 1);
    assert.deepEqual(messages(set), ['ready', 'stopping', 'stopped']);
    assert.deepEqual(set.process.eventNames(), [], 'nothing is left on the process');
  }
});

test('the first time there is a hint how to use it', async () => {
  const { set, begin } = stage(0);
  const exit = begin();
  await turn();
  assert.match(String(set.log[1]?.msg), /"registry-mirrors": \["http:\/\/127\.0\.0\.1:5055"\]/);
  set.process.emit('SIGTERM', 'SIGTERM');
  await exit;
});

test('what startAgent throws is thrown on, and nothing is left behind', async () => {
  const { set, begin } = stage();
  const failure = new AgentError('ADDRESS_IN_USE', '127.0.0.1:5055 is in use by another process.');
  await assert.rejects(
    begin(() => Promise.reject(failure)),
    failure,
  );
  assert.deepEqual(set.log, []);
  assert.deepEqual(set.process.eventNames(), []);
});

test('a signal while it starts stops it once it has started, or when that fails', async () => {
  for (const fails of [false, true]) {
    const { set, agent, begin } = stage();
    let settle = () => {};
    const exit = begin(
      () =>
        new Promise<Agent>((resolve, reject) => {
          settle = () => (fails ? reject(new Error('no')) : resolve(agent));
        }),
    );
    set.process.emit('SIGTERM', 'SIGTERM');
    await turn();
    settle();
    assert.equal(await exit, 0);
    assert.equal(set.stops, fails ? 0 : 1);
    assert.ok(!messages(set).includes('ready'));
  }
});

test('an agent that does not let go is given up before 10 s; a second signal gives up at once', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { set, agent, begin } = stage(1);
  const exit = begin(async () => ({ ...agent, stop: () => new Promise<void>(() => {}) }));
  await turn();
  set.process.emit('SIGTERM', 'SIGTERM');
  await turn();
  assert.deepEqual(set.exits, []);
  set.process.emit('SIGINT', 'SIGINT');
  assert.deepEqual(set.exits, [1]);
  t.mock.timers.tick(9_999);
  assert.equal(await exit, 0);
  assert.match(String(set.log.at(-1)?.msg), /without having let go/);
});

test('a stray rejection is logged, a stray exception ends the process', async () => {
  const { set, begin } = stage(1);
  const exit = begin();
  await turn();
  set.process.emit('unhandledRejection', new Error('stray'));
  assert.deepEqual(set.exits, []);
  set.process.emit('uncaughtException', new Error('stray'));
  assert.deepEqual(set.exits, [1]);
  assert.deepEqual(messages(set), ['ready', 'unhandled rejection', 'uncaught exception']);
  set.process.emit('SIGTERM', 'SIGTERM');
  await exit;
});
