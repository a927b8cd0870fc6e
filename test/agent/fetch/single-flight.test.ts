import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SingleFlight } from '../../../agent/fetch/single-flight.ts';

const never = new AbortController().signal;

test('those who ask at once share one flight', async () => {
  const flights = new SingleFlight<number>(never);
  let started = 0;
  const act = async () => {
    await new Promise(setImmediate);
    return ++started;
  };
  assert.deepEqual(await Promise.all([flights.run('a', never, act), flights.run('a', never, act)]), [1, 1]);
  assert.equal(await flights.run('a', never, act), 2);
});

test('one who leaves does not end the flight; the last one does', async () => {
  const flights = new SingleFlight<void>(never);
  let inner: AbortSignal | undefined;
  const act = (signal: AbortSignal) => {
    inner = signal;
    return new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const first = new AbortController();
  const second = new AbortController();
  const one = assert.rejects(flights.run('a', first.signal, act), /first left/);
  const two = assert.rejects(flights.run('a', second.signal, act), /second left/);
  first.abort(new Error('first left'));
  await one;
  assert.equal(inner?.aborted, false);
  second.abort(new Error('second left'));
  await two;
  assert.equal(inner?.aborted, true);
});

test('a newcomer does not join a flight that is called off', async () => {
  const flights = new SingleFlight<string>(never);
  const left = new AbortController();
  const stuck = assert.rejects(flights.run('a', left.signal, () => new Promise(() => {})));
  left.abort(new Error('left'));
  await stuck;
  assert.equal(await flights.run('a', never, async () => 'fresh'), 'fresh');
});

test('a failure reaches everybody who waits and is not remembered', async () => {
  const flights = new SingleFlight<string>(never);
  const fail = async () => {
    throw new Error('no');
  };
  await Promise.all([
    assert.rejects(flights.run('a', never, fail), /no/),
    assert.rejects(flights.run('a', never, fail), /no/),
  ]);
  assert.equal(await flights.run('a', never, async () => 'yes'), 'yes');
});
