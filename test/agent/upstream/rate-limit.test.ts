import assert from 'node:assert/strict';
import test from 'node:test';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createRateLimits, parseRateLimit } from '../../../agent/upstream/rate-limit.ts';
import { fixture, REPOSITORY } from './fixture.ts';

const HUB = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' };

test('what Docker Hub says, and what makes no sense', () => {
  assert.deepEqual(parseRateLimit('100;w=21600'), { count: 100, window: 21_600 });
  assert.deepEqual(parseRateLimit('0'), { count: 0, window: null });
  for (const header of [undefined, '', '-1', '1e9', '100;w=', '100;w=-1', '9999999999', '1;w=999999999', ['1', '2']]) {
    assert.equal(parseRateLimit(header), undefined, String(header));
  }
});

test('the last word counts, for as long as its window', async () => {
  let now = 0;
  const metrics = createMetrics();
  const rates = createRateLimits(metrics, () => now);
  rates.heard('docker.io', HUB);
  rates.heard('docker.io', { ...HUB, 'ratelimit-remaining': '75;w=21600' });
  rates.heard('ghcr.io', {});
  assert.deepEqual(rates.all(), [{ registry: 'docker.io', limit: 100, remaining: 75, window: 21_600 }]);
  const text = await metrics.registry.metrics();
  assert.match(text, /^layerlan_upstream_rate_limit\{registry="docker\.io"\} 100$/m);
  assert.match(text, /^layerlan_upstream_rate_remaining\{registry="docker\.io"\} 75$/m);
  now = 21_600_001;
  assert.deepEqual(rates.all(), []);
});

test('a client that names many registries fills nothing', async () => {
  const metrics = createMetrics();
  const rates = createRateLimits(metrics, () => 0);
  for (let index = 0; index < 1000; index++) rates.heard(`r${index}.example`, HUB);
  assert.equal(rates.all().length, 64);
  assert.equal((await metrics.upstreamRateLimit.get()).values.length, 64);
});

test('it is heard with the answer', async (context) => {
  const { registry, upstream, signal } = await fixture(context, { manifestHeaders: HUB });
  registry.addImage(REPOSITORY.name, { layers: [10] });
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  assert.deepEqual(upstream.rateLimits(), [{ registry: 'docker.io', limit: 100, remaining: 76, window: 21_600 }]);
});
