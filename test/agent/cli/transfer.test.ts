import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { z } from 'zod';
import { fetchFromAgent, sendToAgent, whole } from '../../../agent/cli/transfer.ts';
import { loadConfig } from '../../../agent/config/load.ts';
import { AgentError } from '../../../agent/errors.ts';
import type { LocalCommand } from '../../../agent/registry/ports.ts';
import { startMirror } from '../registry/support.ts';

const configOf = (port: number) => loadConfig({ set: [`mirror.listen=127.0.0.1:${port}`] });
const schema = z.object({ size: z.number(), key: z.string().nullable() });

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at++) yield Buffer.alloc(100_000, at);
}

test('a body goes to a command piece by piece, longer than headers may take', async (t) => {
  const sum: LocalCommand = async ({ body, ownerKey }) => {
    let size = 0;
    for await (const piece of body) size += piece.length;
    return { size, key: ownerKey ?? null };
  };
  const { port } = await startMirror(t, { headersTimeout: 50 }, { sum });
  const slow = (async function* () {
    for await (const piece of pieces(5)) {
      yield piece;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const command = { name: 'sum', parameters: {}, what: 'sum' };
  const sending = { headers: { 'content-length': '500000', 'x-layerlan-owner': 'k' }, body: slow };
  const { answer } = await sendToAgent(configOf(port), command, sending, schema);
  assert.deepEqual(answer, { size: 500_000, key: 'k' });
});

test('a command that wants no more of a body is heard, and the rest is not sent', async (t) => {
  const refuse: LocalCommand = async ({ body }) => {
    for await (const _ of body) throw new AgentError('IMPORT_REFUSED', 'other bytes');
    return {};
  };
  const { port } = await startMirror(t, {}, { refuse });
  let sent = 0;
  const many = (async function* () {
    for await (const piece of pieces(2_000)) {
      sent += 1;
      yield piece;
    }
  })();
  const command = { name: 'refuse', parameters: {}, what: 'refuse' };
  const sending = { headers: { 'content-length': '200000000' }, body: many };
  const failure = { code: 'IMPORT_REFUSED', message: 'other bytes' };
  await assert.rejects(sendToAgent(configOf(port), command, sending, schema), failure);
  assert.ok(sent < 2_000, `${sent}`);
});

test('what the mirror has comes, and why not', async (t) => {
  const { port, content } = await startMirror(t);
  const { digest, bytes } = content.addBlob(1_000_000);
  const config = configOf(port);
  const from = (path: string, headers = {}) => fetchFromAgent(config, path, headers, 'app');
  assert.ok(bytes.equals(await whole(await from(`/v2/app/blobs/${digest}`))));
  const rest = await whole(await from(`/v2/app/blobs/${digest}`, { range: 'bytes=999990-' }));
  assert.ok(bytes.subarray(999_990).equals(rest));
  await assert.rejects(from('/v2/app/blobs/nothing'), { code: 'DIGEST_INVALID', message: /^app: / });
  await assert.rejects(from('/v2/app'), { code: 'AGENT_NOT_RUNNING' });
});

test('what breaks off is told as that, by the name of what it is of', async (t) => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '10' }).write('half', () => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const config = configOf((server.address() as AddressInfo).port);
  const failure = { code: 'CONTENT_UNAVAILABLE', message: /^app: .* breaks off/ };
  await assert.rejects(async () => whole(await fetchFromAgent(config, '/v2/app', {}, 'app')), failure);
});
