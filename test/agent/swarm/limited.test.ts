import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { QUEUED_CHUNKS } from '../../../agent/swarm/limits.ts';
import { chunksAtOnce } from '../../../agent/swarm/server.ts';
import { MIN_PROGRESS, watchStall } from '../../../agent/swarm/stream/stall.ts';

const KIB = 1024;

test('with a limited upload no more chunks are promised than come within the askers’ 20 s', () => {
  assert.equal(chunksAtOnce(undefined), QUEUED_CHUNKS);
  assert.equal(chunksAtOnce(64 * KIB), 1);
  assert.equal(chunksAtOnce(256 * KIB), 4);
  assert.equal(chunksAtOnce(1024 ** 3), QUEUED_CHUNKS);
  for (let rate = 64 * KIB; rate < 8 * 1024 * KIB; rate += 7_777) {
    assert.ok((chunksAtOnce(rate) * 1024 * KIB) / rate <= 16);
  }
});

beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }));
afterEach(() => mock.timers.reset());

test('a wait of our own is no stall, however long; silence after it is', async () => {
  let stalled = 0;
  const watch = watchStall(400, () => {
    stalled += 1;
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  const waited = watch.during(promise);
  mock.timers.tick(10_000);
  assert.equal(stalled, 0);
  resolve();
  await waited;
  mock.timers.tick(400);
  assert.equal(stalled, 0);
  mock.timers.tick(200);
  assert.equal(stalled, 1);
});

test('short waits of our own, between two looks, count as well', async () => {
  let stalled = 0;
  const watch = watchStall(400, () => {
    stalled += 1;
  });
  for (let look = 0; look < 40; look++) {
    if (look % 3 === 0) await watch.during(Promise.resolve());
    mock.timers.tick(100);
  }
  assert.equal(stalled, 0);
  watch.stop();
});

test('a peer that dribbles is found out although a limit is set', () => {
  let stalled = 0;
  const watch = watchStall(400, () => {
    stalled += 1;
  });
  for (let look = 0; look < 10; look++) {
    watch.progress(MIN_PROGRESS / 10);
    mock.timers.tick(100);
  }
  assert.equal(stalled, 1);
});
