import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { parseDigest } from '../../../protocol/digest.ts';
import { client, failsWith, fixture, REPOSITORY, readAll } from './fixture.ts';

const UNKNOWN = parseDigest(`sha256:${'0'.repeat(64)}`)!;

test('whole, from an offset, from its end, and empty', async (context) => {
  const { registry, upstream, signal, bytesCounted } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [3 * MIB + 5] }).layers;
  assert.ok(layer);
  const whole = registry.blobBytes(layer.digest);
  for (const offset of [0, 1, MIB, layer.size - 1, layer.size]) {
    const { size, body } = await upstream.getBlob(REPOSITORY, layer.digest, offset, signal);
    assert.equal(size, layer.size);
    assert.ok(whole.subarray(offset).equals(await readAll(body)), `from ${offset}`);
  }
  assert.equal(await bytesCounted(), registry.bytesServed(layer.digest));
  const empty = registry.addBlob(REPOSITORY.name, Buffer.alloc(0));
  const { size, body } = await upstream.getBlob(REPOSITORY, empty.digest, 0, signal);
  assert.deepEqual([size, (await readAll(body)).length], [0, 0]);
  await assert.rejects(
    upstream.getBlob(REPOSITORY, layer.digest, layer.size + 1, signal),
    failsWith('UPSTREAM_FAILED'),
  );
});

test('part after part on one connection; a break within a part is mended; without Range the rest comes too', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [3 * MIB + 5] }).layers;
  assert.ok(layer);
  const whole = registry.blobBytes(layer.digest);
  const ends = [MIB, 2 * MIB + 7, layer.size, layer.size + 9];
  registry.misbehave({ kind: 'break', after: MIB / 2, times: 1 });
  let from = 0;
  for (const end of ends) {
    const { size, isRanged, body } = await upstream.getBlob(REPOSITORY, layer.digest, from, signal, end);
    assert.deepEqual([size, isRanged], [layer.size, true]);
    assert.ok(whole.subarray(from, end).equals(await readAll(body)), `from ${from} to ${end}`);
    from = Math.min(end, layer.size);
    // The client frees the connection a moment after the body's end.
    await new Promise(setImmediate);
  }
  const served = registry.requests.filter(({ kind }) => kind === 'blob');
  assert.equal(served[0]?.range, `bytes=0-${MIB - 1}`);
  assert.equal(served[1]?.range, `bytes=${MIB / 2}-${MIB - 1}`);
  assert.equal(new Set(served.slice(1).map(({ clientPort }) => clientPort)).size, 1, 'one connection after the break');
  registry.misbehave({ kind: 'no-range' });
  const { isRanged, body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal, MIB);
  assert.equal(isRanged, false);
  assert.ok(whole.equals(await readAll(body)));
});

test('unknown', async (context) => {
  const { upstream, signal } = await fixture(context);
  await assert.rejects(upstream.getBlob(REPOSITORY, UNKNOWN, 0, signal), failsWith('BLOB_UNKNOWN'));
  await assert.rejects(upstream.headBlob(REPOSITORY, UNKNOWN, signal), failsWith('BLOB_UNKNOWN'));
});

test('a body that breaks again and again is taken up at the byte', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [9 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'break', after: MIB + 11 });
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  assert.ok(registry.blobBytes(layer.digest).equals(await readAll(body)));
  assert.equal(registry.bytesServed(layer.digest), layer.size, 'no byte came twice');
  assert.equal(registry.requests[1]?.range, `bytes=${MIB + 11}-`);
});

test('a registry without Range: what is held already is thrown away', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [3 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'no-range' });
  registry.misbehave({ kind: 'break', after: 2 * MIB, times: 1 });
  const { size, body } = await upstream.getBlob(REPOSITORY, layer.digest, 1000, signal);
  assert.equal(size, layer.size);
  assert.ok(
    registry
      .blobBytes(layer.digest)
      .subarray(1000)
      .equals(await readAll(body)),
  );
  assert.equal(registry.bytesServed(layer.digest), 5 * MIB);
});

test('without Range it may break behind the part that was asked for: the rest is taken up all the same', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [3 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'no-range', times: 1 });
  registry.misbehave({ kind: 'break', after: 2 * MIB, times: 1 });
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal, MIB);
  assert.ok(registry.blobBytes(layer.digest).equals(await readAll(body)));
  assert.deepEqual(
    registry.requests.map(({ range }) => range),
    [`bytes=0-${MIB - 1}`, `bytes=${2 * MIB}-`],
  );
});

test('a body that stalls is taken up; one that goes on stalling is given up', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { stallTimeout: 150 });
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [2 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'stall', after: MIB, times: 1 });
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  assert.ok(registry.blobBytes(layer.digest).equals(await readAll(body)));

  registry.forget();
  registry.misbehave({ kind: 'stall', after: 0 });
  const stalled = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  await assert.rejects(readAll(stalled.body), failsWith('UPSTREAM_STALLED'));
  assert.equal(registry.requests.length, 6);
});

test('a reader that is slow is no stall', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { stallTimeout: 100 });
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [4 * MIB] }).layers;
  assert.ok(layer);
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  let length = 0;
  for await (const piece of body) {
    if (length === 0) await new Promise((resolve) => setTimeout(resolve, 400));
    length += piece.length;
  }
  assert.equal(length, layer.size);
  assert.equal(registry.blobGets(layer.digest), 1);
});

test('a registry that goes away in mid-body and comes back', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [8 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'stall', after: 3 * MIB, times: 1 });
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  const pieces: Uint8Array[] = [];
  let length = 0;
  let back: Promise<void> | undefined;
  for await (const piece of body) {
    pieces.push(piece);
    length += piece.length;
    if (length === 3 * MIB) back = registry.refuse().then(() => registry.comeBack());
  }
  await back;
  assert.ok(registry.blobBytes(layer.digest).equals(Buffer.concat(pieces)));
});

test('one that refuses connections for good ends the body', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [8 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'stall', after: MIB });
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  const reading = readAll(body);
  const rejected = assert.rejects(reading, failsWith('UPSTREAM_UNREACHABLE'));
  await registry.refuse();
  await rejected;
});

test('a size that changes between answers is not believed', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [2 * MIB] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'break', after: MIB, times: 1 });
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  registry.misbehave({ kind: 'length', delta: 10 });
  await assert.rejects(readAll(body), failsWith('UPSTREAM_FAILED', /changed the size/));
});

test('a blob of unknown length, and one that is compressed against our wish', async (context) => {
  const server = createServer((request, response) => {
    if (request.url?.endsWith(UNKNOWN)) response.setHeader('content-encoding', 'gzip');
    response.write('hello ');
    response.end('world');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const registries = { 'docker.io': { endpoints: [`http://127.0.0.1:${port}`] } };
  const { upstream, signal } = await fixture(context, {}, { registries });
  const { size, body } = await upstream.getBlob(REPOSITORY, parseDigest(`sha256:${'1'.repeat(64)}`)!, 6, signal);
  assert.equal(size, undefined);
  assert.equal((await readAll(body)).toString(), 'world');
  await assert.rejects(upstream.getBlob(REPOSITORY, UNKNOWN, 0, signal), failsWith('UPSTREAM_FAILED', /gzip/));
});

test('ending early, before or after the first piece, closes the request; so does the signal', async (context) => {
  const { registry, upstream } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [64 * MIB] }).layers;
  assert.ok(layer);
  const ends: ((body: AsyncIterable<Uint8Array>, abort: AbortController) => Promise<void>)[] = [
    async (body) => {
      for await (const _piece of body) break;
    },
    async (body) => {
      await body[Symbol.asyncIterator]().return?.();
    },
    async (_body, abort) => abort.abort(new Error('enough')),
    async (body, abort) => {
      const reading = assert.rejects(readAll(body), /enough/);
      abort.abort(new Error('enough'));
      await reading;
    },
  ];
  for (const end of ends) {
    const abort = new AbortController();
    const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, abort.signal);
    await end(body, abort);
    await registry.idle();
  }
  assert.equal(registry.requests.length, ends.length, 'nothing was asked for again');
});

test('close ends what is under way', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [64 * MIB] }).layers;
  assert.ok(layer);
  const { body } = await upstream.getBlob(REPOSITORY, layer.digest, 0, signal);
  const iterator = body[Symbol.asyncIterator]();
  await iterator.next();
  registry.misbehave({ kind: 'black-hole', on: 'manifest' });
  const hanging = assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('DRAINING'));
  await upstream.close();
  await hanging;
  await assert.rejects(async () => {
    while (!(await iterator.next()).done) {}
  }, failsWith('DRAINING'));
});

test('a reader that leaves between two tries is told its own reason', async (context) => {
  const { registry, upstream } = await fixture(context);
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(MIB, 7));
  registry.misbehave({ kind: 'break', after: 1000 });
  const abort = new AbortController();
  const { body } = await upstream.getBlob(REPOSITORY, digest, 0, abort.signal);
  const reading = assert.rejects(readAll(body), /enough/);
  while (registry.blobGets(digest) < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  abort.abort(new Error('enough'));
  await reading;
});

test('an endpoint whose bodies keep breaking makes way for the next', async (context) => {
  const { registry: mirror, signal } = await fixture(context);
  const { registry: origin } = await fixture(context);
  const bytes = Buffer.alloc(MIB, 7);
  const { digest } = mirror.addBlob(REPOSITORY.name, bytes);
  origin.addBlob(REPOSITORY.name, bytes);
  mirror.misbehave({ kind: 'break', after: 1000 });
  const registries = { 'docker.io': { endpoints: [mirror.url, origin.url] } };
  const { body } = await client(context, { registries }).upstream.getBlob(REPOSITORY, digest, 0, signal);
  assert.ok(bytes.equals(await readAll(body)));
  assert.deepEqual([mirror.blobGets(), origin.blobGets()], [2, 1]);
});

test('a HEAD that tells of no bytes at all tells no size; a blob that has none has none', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const { digest, size } = registry.addBlob(REPOSITORY.name, Buffer.alloc(1000, 7));
  registry.misbehave({ kind: 'length', delta: -size, method: 'HEAD' });
  assert.deepEqual(await upstream.headBlob(REPOSITORY, digest, signal), { size });
  registry.behave();
  const empty = registry.addBlob(REPOSITORY.name, Buffer.alloc(0));
  assert.deepEqual(await upstream.headBlob(REPOSITORY, empty.digest, signal), { size: 0 });
});

test('the length of what is compressed on the way is nobody’s size', async (context) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 0 }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints: [endpoint] } } });
  await assert.rejects(
    upstream.headBlob(REPOSITORY, UNKNOWN, AbortSignal.timeout(30_000)),
    failsWith('UPSTREAM_FAILED', /size/),
  );
});
