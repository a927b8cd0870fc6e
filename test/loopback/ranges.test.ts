import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { type Host, startHost, until } from '../support/host.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const SIZE = 32 * MIB + 77;

let upstream: UpstreamRegistry;
let host: Host;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  host = await startHost({ upstream: upstream.url });
});

afterEach(async () => {
  await host.stop();
  await upstream.close();
});

/** Adds a blob whose size the agent knows, as it does once the image's manifest was pulled. */
async function coldBlob(): Promise<{ path: string; bytes: Buffer; digest: string }> {
  const image = upstream.addImage('library/app', { layers: [SIZE] });
  const manifest = await fetch(`${host.mirror}/v2/library/app/manifests/latest`);
  await manifest.arrayBuffer();
  const { digest } = image.layers[0]!;
  return { path: `/v2/library/app/blobs/${digest}`, bytes: upstream.blobBytes(digest), digest };
}

/** GET of `range`, left with a close as soon as `wanted` bytes of body are there. */
async function take(path: string, range: string, wanted: number): Promise<Buffer> {
  const { hostname, port } = new URL(host.mirror);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nRange: ${range}\r\n\r\n`);
  let all = Buffer.alloc(0);
  for await (const piece of socket) {
    all = Buffer.concat([all, piece]);
    const split = all.indexOf('\r\n\r\n');
    if (split >= 0 && all.length >= split + 4 + wanted) break;
  }
  socket.destroy();
  assert.match(all.toString('latin1'), /^HTTP\/1\.1 206 /);
  const body = all.subarray(all.indexOf('\r\n\r\n') + 4);
  return body.subarray(0, wanted);
}

test('containerd’s parallel fetch of a cold blob: open-ended ranges, each left early, and upstream is read once', async () => {
  const { path, bytes } = await coldBlob();
  const part = Math.ceil(SIZE / 8);
  const starts = Array.from({ length: 8 }, (_, at) => at * part);
  const parts = await Promise.all(starts.map((start) => take(path, `bytes=${start}-`, Math.min(part, SIZE - start))));
  assert.ok(Buffer.concat(parts).equals(bytes));
  assert.equal(upstream.bytesServed(), SIZE);
  await until('the blob is kept', async () => (await host.agent.status()).store.blobs === 2);
});

test('parts of a cold blob cross the uplink alone, several in one answer too', async () => {
  const { path, bytes } = await coldBlob();
  const get = (range: string) => fetch(host.mirror + path, { headers: { Range: range } });
  const one = await get('bytes=5000000-5000999');
  assert.equal(one.status, 206);
  assert.ok(Buffer.from(await one.arrayBuffer()).equals(bytes.subarray(5_000_000, 5_001_000)));
  const tail = await get('bytes=-51');
  assert.ok(Buffer.from(await tail.arrayBuffer()).equals(bytes.subarray(-51)));
  const several = await get('bytes=0-99,20000000-20000099');
  assert.match(several.headers.get('content-type') ?? '', /^multipart\/byteranges; boundary=/);
  const body = Buffer.from(await several.arrayBuffer());
  assert.ok(body.includes(bytes.subarray(0, 100)) && body.includes(bytes.subarray(20_000_000, 20_000_100)));
  assert.equal(upstream.bytesServed(), 1000 + 51 + 200);
  assert.equal((await host.agent.status()).store.blobs, 1, 'the manifest alone');
});

test('parts and the whole at once: the parts that come later are taken from what is on its way', async () => {
  const { path, bytes, digest } = await coldBlob();
  upstream.misbehave({ kind: 'rate', bytesPerSecond: 64 * MIB });
  const whole = fetch(host.mirror + path).then(async (response) => Buffer.from(await response.arrayBuffer()));
  await until('upstream is asked', () => upstream.requests.some((request) => request.digest === digest));
  const parts = await Promise.all([1, 2, 3].map((at) => take(path, `bytes=${at * 9 * MIB}-${at * 9 * MIB + 9}`, 10)));
  for (const [at, part] of parts.entries()) assert.ok(part.equals(bytes.subarray((at + 1) * 9 * MIB).subarray(0, 10)));
  assert.ok((await whole).equals(bytes));
  assert.equal(upstream.bytesServed(), SIZE);
});

test('a client that leaves early ends the part’s request upstream', async () => {
  const { path, digest } = await coldBlob();
  upstream.misbehave({ kind: 'rate', bytesPerSecond: MIB });
  await take(path, `bytes=0-${8 * MIB}`, 1000);
  const asked = () => upstream.requests.filter((request) => request.digest === digest);
  await until('nothing more is sent', () => asked().length === 1 && asked().every((request) => request.closed));
  assert.ok(upstream.bytesServed() < 8 * MIB);
});
