import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createScrape } from '../../../agent/registry/scrape.ts';
import { parseAnswers } from '../../support/http-answers.ts';
import { dial } from './support.ts';

async function startScrape(t: TestContext) {
  const health = { ok: true };
  const metrics = createMetrics();
  metrics.upstreamBytes.inc(42);
  const scrape = createScrape(
    { logger: pino({ level: 'silent' }), metrics, health: () => health },
    { allowedHosts: ['figures.lan'] },
  );
  await scrape.listen(['127.0.0.1:0']);
  t.after(() => scrape.close());
  const port = Number(scrape.addresses[0]!.split(':')[1]);
  const ask = async (path: string, { host = '127.0.0.1', method = 'GET', headers = '' } = {}) => {
    const socket = await dial(t, port);
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n${headers}\r\n`);
    const [answer, ...more] = parseAnswers(await buffer(socket), () => method === 'HEAD');
    assert.deepEqual(more, []);
    return answer!;
  };
  return { ask, health };
}

test('metrics and health, and nothing of the mirror', async (t) => {
  const { ask, health } = await startScrape(t);
  const metrics = await ask('/metrics');
  assert.equal(metrics.status, 200);
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(metrics.body.toString(), /^layerlan_upstream_bytes_total 42$/m);
  assert.equal((await ask('/metrics', { method: 'HEAD' })).status, 200);
  assert.equal((await ask('/metrics?name[]=x')).status, 200);
  assert.deepEqual(JSON.parse((await ask('/healthz')).body.toString()), { ok: true });
  health.ok = false;
  assert.equal((await ask('/healthz')).status, 503);
  for (const path of ['/', '/v2/', '/status', '/v2/alpine/manifests/latest', '/metrics/x', '/metrics%2f']) {
    const { status, body } = await ask(path);
    assert.equal(status, 404, path);
    assert.equal(JSON.parse(body.toString()).errors[0].detail.error, 'ROUTE_UNKNOWN');
  }
  const { status, headers } = await ask('/metrics', { method: 'POST' });
  assert.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD']);
});

test('a scraper on another host calls the agent by address or name; a web page gets nothing', async (t) => {
  const { ask } = await startScrape(t);
  for (const host of ['127.0.0.1', hostname().toUpperCase(), 'Figures.lan']) {
    assert.equal((await ask('/metrics', { host })).status, 200, host);
  }
  for (const host of ['evil.example', `${hostname()}.evil.example`, '192.0.2.1']) {
    assert.equal((await ask('/metrics', { host })).status, 403, host);
  }
  for (const headers of ['Origin: http://evil.example\r\n', 'Origin: null\r\n', 'Sec-Fetch-Site: cross-site\r\n']) {
    assert.equal((await ask('/metrics', { headers })).status, 403, headers);
  }
});
