import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { createThrottle } from '../../../agent/limits/throttle.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createUpstream } from '../../../agent/upstream/client.ts';
import { generatedContent } from '../../support/content.ts';
import { fixture, REPOSITORY, readAll } from './fixture.ts';

const KIB = 1024;
const RATE = 64 * KIB;

/** A client with a limit, whose every wait for it is longer than the stall time-out. */
async function limited(t: Parameters<typeof fixture>[0]) {
  const { registry, signal } = await fixture(t);
  const throttle = createThrottle([{ rate: RATE, from: 0, to: 1440, days: [0, 1, 2, 3, 4, 5, 6] }]);
  const upstream = createUpstream(
    { logger: pino({ level: 'silent' }), metrics: createMetrics(), throttle },
    { registries: { 'docker.io': { endpoints: [registry.url] } }, stallTimeout: 150 },
  );
  t.after(() => upstream.close());
  return { registry, upstream, throttle, signal };
}

test('waiting for the limit is no stall of the registry’s', async (t) => {
  const { registry, upstream, throttle, signal } = await limited(t);
  const { digest, size } = registry.addBlob(REPOSITORY.name, generatedContent('slow', 3 * RATE));
  const started = performance.now();
  const { body } = await upstream.getBlob(REPOSITORY, digest, 0, signal);
  assert.ok((await readAll(body)).equals(registry.blobBytes(digest)));
  const seconds = (performance.now() - started) / 1000;
  assert.ok(size <= 1.05 * RATE * seconds + RATE, `${size} bytes in ${seconds} s`);
  assert.equal(registry.blobGets(), 1);
  assert.ok(throttle.held > 1_000);
});

test('who waits for the limit ends by its signal, by leaving, and by the client’s end', async (t) => {
  const { registry, upstream, throttle, signal } = await limited(t);
  const { digest } = registry.addBlob(REPOSITORY.name, generatedContent('slow', 100 * RATE));
  const held = async (within: AbortSignal) => {
    const { body } = await upstream.getBlob(REPOSITORY, digest, 0, within);
    const pieces = body[Symbol.asyncIterator]();
    // What a burst lets through, then a piece that waits.
    for (;;) {
      const next = pieces.next();
      const waits = await Promise.race([
        next.then(() => false),
        new Promise((resolve) => setTimeout(resolve, 50, true)),
      ]);
      if (waits) return { pieces, next };
    }
  };
  const aborted = new AbortController();
  const first = await held(AbortSignal.any([signal, aborted.signal]));
  const reason = new Error('gone');
  aborted.abort(reason);
  await assert.rejects(first.next, reason);

  const second = await held(signal);
  await Promise.all([second.pieces.return?.(), second.next.catch(() => {})]);

  const third = await held(signal);
  await Promise.all([upstream.close(), assert.rejects(third.next)]);

  // Nobody is left waiting.
  const before = throttle.held;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(throttle.held, before);
});
