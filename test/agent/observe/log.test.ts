import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAgentError } from '../../../agent/errors.ts';
import { createLogger, logLevel } from '../../../agent/observe/log.ts';

function sink() {
  const lines: string[] = [];
  return { lines, destination: { write: (line: string) => void lines.push(line) } };
}

test('a line of JSON where nobody looks, a readable line where somebody does; both at once', () => {
  const json = sink();
  createLogger({ pretty: false, destination: json.destination }).info({ digest: 'd' }, 'held');
  const [line] = json.lines;
  assert.equal(json.lines.length, 1);
  const { time, ...rest } = JSON.parse(line!);
  assert.equal(typeof time, 'number');
  assert.deepEqual(rest, { level: 30, digest: 'd', msg: 'held' });

  const eyes = sink();
  createLogger({ pretty: true, destination: eyes.destination }).warn({ digest: 'd' }, 'held');
  assert.equal(eyes.lines.length, 1);
  assert.match(eyes.lines[0]!, /WARN.*held.*digest/);
});

test('secrets stay out of the log, wherever they hang', () => {
  for (const pretty of [false, true]) {
    const { lines, destination } = sink();
    const logger = createLogger({ pretty, destination });
    logger.info({ authorization: 'hunter2', headers: { authorization: 'hunter2', Authorization: 'hunter2' } }, 'x');
    logger.info({ request: { headers: { authorization: 'hunter2', cookie: 'hunter2' } }, token: 'hunter2' }, 'x');
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.doesNotMatch(line, /hunter2/);
      assert.match(line, /\[Redacted\]/);
    }
  }
});

test('the level: the option, else the environment, else info', () => {
  assert.equal(logLevel(undefined, {}), 'info');
  assert.equal(logLevel(undefined, { LAYERLAN_LOG_LEVEL: '' }), 'info');
  assert.equal(logLevel(undefined, { LAYERLAN_LOG_LEVEL: 'DEBUG' }), 'debug');
  assert.equal(logLevel('warn', { LAYERLAN_LOG_LEVEL: 'debug' }), 'warn');
  assert.throws(
    () => logLevel('loud', {}),
    (error) => isAgentError(error, 'CONFIG_INVALID') && /--log-level/.test(error.message),
  );
  assert.throws(() => logLevel(undefined, { LAYERLAN_LOG_LEVEL: 'x' }), /LAYERLAN_LOG_LEVEL must be one of/);

  const { lines, destination } = sink();
  const logger = createLogger({ level: 'warn', pretty: false, destination });
  logger.info('quiet');
  logger.warn('loud');
  assert.equal(lines.length, 1);
});
