import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { dial, requestText, startMirror, until } from './support.ts';

const MIB = 1024 * 1024;
/** More than the kernel's buffers of both ends together can take. */
const LARGE = 64 * MIB;

/** Everything up to the connection's end, which must be a FIN. */
async function readToEnd(socket: Socket): Promise<{ head: string; body: Buffer }> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  // once() rejects on 'error': ECONNRESET fails the test.
  await once(socket, 'end');
  const all = Buffer.concat(pieces);
  const split = all.indexOf('\r\n\r\n') + 4;
  return { head: all.subarray(0, split).toString(), body: all.subarray(split) };
}

test('a body that fails in the middle ends short, with FIN, and with every byte up to there', async (t) => {
  const { content, port, log } = await startMirror(t);
  const { digest, bytes } = content.addBlob(8 * MIB);
  const good = 5 * MIB;
  content.beforePiece = (position) => {
    if (position >= good) throw new AgentError('CONTENT_UNAVAILABLE', 'It broke.');
  };
  const socket = await dial(t, port);
  socket.write(requestText(`/v2/alpine/blobs/${digest}`));
  const { head, body } = await readToEnd(socket);
  assert.match(head, /^HTTP\/1\.1 200 /);
  assert.match(head, /content-length: 8388608/i);
  assert.equal(body.length, good);
  assert.ok(body.equals(bytes.subarray(0, good)));
  assert.equal(content.open, 0);
  assert.deepEqual(
    log.map(({ msg, code, digest: which }) => ({ msg, code, which })),
    [{ msg: 'body ended short', code: 'CONTENT_UNAVAILABLE', which: digest }],
  );
});

test('short and with FIN too where the client has already sent its next request', async (t) => {
  const { content, port } = await startMirror(t);
  const { digest } = content.addBlob(MIB);
  content.beforePiece = (position) => {
    if (position >= MIB / 2) throw new AgentError('CONTENT_UNAVAILABLE', 'It broke.');
  };
  const socket = await dial(t, port);
  const request = requestText(`/v2/alpine/blobs/${digest}`);
  socket.write(request + request);
  const { body } = await readToEnd(socket);
  assert.equal(body.length, MIB / 2);
});

test('and where the kernel holds what the client has sent, and nobody has read: then closing at once would reset it', async (t) => {
  const { content, port } = await startMirror(t);
  const { digest, bytes } = content.addBlob(MIB);
  const request = requestText(`/v2/alpine/blobs/${digest}`);
  const socket = await dial(t, port);
  const reader = readToEnd(socket);
  content.beforePiece = (position) => {
    if (position < MIB / 2) return;
    // In this turn of the loop, so that the response ends before the server can look at it.
    socket.write(request);
    throw new AgentError('CONTENT_UNAVAILABLE', 'It broke.');
  };
  socket.write(request);
  const { body } = await reader;
  assert.ok(body.equals(bytes.subarray(0, MIB / 2)));
});

test('a source that gives too little or too much is a broken source, not a broken connection', async (t) => {
  const { content, port } = await startMirror(t);
  const { digest, bytes } = content.addBlob(1000);
  for (const source of [bytes.subarray(0, 900), Buffer.concat([bytes, bytes])]) {
    content.openBlob = async () => ({
      digest,
      size: 1000,
      close: () => {},
      async *read() {
        yield source;
      },
    });
    const socket = await dial(t, port);
    socket.write(requestText(`/v2/alpine/blobs/${digest}`));
    const { body } = await readToEnd(socket);
    assert.ok(body.length < 1000, 'never a byte that was not announced');
  }
});

test('headers go out before the first byte is free to be shown', async (t) => {
  const { content, port } = await startMirror(t);
  const { digest } = content.addBlob(100);
  let release = () => {};
  content.beforePiece = () => new Promise<void>((resolve) => (release = resolve));
  const socket = await dial(t, port);
  socket.write(requestText(`/v2/alpine/blobs/${digest}`));
  const [head] = await once(socket, 'data');
  assert.match(String(head), /^HTTP\/1\.1 200 [\s\S]*content-length: 100\r\n[\s\S]*\r\n\r\n$/i);
  release();
  const [body] = await once(socket, 'data');
  assert.equal(body.length, 100);
});

test('a client that hangs up aborts what it asked for and leaves nothing open', async (t) => {
  const { content, port, log, url } = await startMirror(t);
  const { digest, bytes } = content.addBlob(LARGE);
  let wasAborted = false;
  content.beforePiece = async (position, signal) => {
    if (position < 4 * MIB) return;
    // A source that waits for bytes which never come, until the signal.
    await once(signal, 'abort');
    wasAborted = true;
  };
  const socket = await dial(t, port);
  socket.write(requestText(`/v2/alpine/blobs/${digest}`));
  let received = 0;
  socket.on('data', (piece) => {
    received += piece.length;
  });
  await until(() => received > 4 * MIB);
  socket.destroy();
  await until(() => content.open === 0);
  assert.ok(wasAborted);
  assert.deepEqual(log, []);
  content.beforePiece = () => {};
  const again = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: { Range: 'bytes=0-9' } });
  assert.ok(Buffer.from(await again.arrayBuffer()).equals(bytes.subarray(0, 10)));
});

test('a client that hangs up while it waits for headers aborts that too', async (t) => {
  const { content, port, log } = await startMirror(t);
  const { digest } = content.addBlob(10);
  let aborted = 0;
  content.openBlob = async (_request, signal?: AbortSignal) => {
    await once(signal!, 'abort');
    aborted += 1;
    throw signal!.reason;
  };
  const socket = await dial(t, port);
  socket.write(requestText(`/v2/alpine/blobs/${digest}`));
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  await until(() => aborted === 1);
  assert.deepEqual(log, []);
});

test('a client that stops reading stops the source, holds no memory, and is let go in the end', async (t) => {
  const { content, port, log } = await startMirror(t, { clientStallTimeout: 1_000 });
  const { digest } = content.addBlob(LARGE);
  const socket = await dial(t, port);
  socket.pause();
  socket.on('error', () => {});
  socket.write(requestText(`/v2/alpine/blobs/${digest}`));
  await until(() => content.open === 1);
  await until(() => content.open === 0);
  assert.ok(content.pieces * content.pieceSize < LARGE, `took ${content.pieces} pieces for nobody`);
  assert.deepEqual(
    log.map(({ msg }) => msg),
    ['client stopped reading and was let go'],
  );
});

test('a source that is slow is no client that stalls', async (t) => {
  const { content, url } = await startMirror(t, { clientStallTimeout: 50 });
  const { digest } = content.addBlob(3 * 64 * 1024);
  content.beforePiece = () => new Promise((resolve) => setTimeout(resolve, 150));
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`);
  assert.equal((await response.arrayBuffer()).byteLength, 3 * 64 * 1024);
});

test('many parts, each left early, on connections of their own', async (t) => {
  const { content, url } = await startMirror(t);
  const { digest, bytes } = content.addBlob(LARGE);
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const start = index * MIB;
      const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: { Range: `bytes=${start}-` } });
      assert.equal(response.status, 206);
      const reader = response.body!.getReader();
      const { value } = await reader.read();
      await reader.cancel();
      assert.ok(bytes.subarray(start, start + value!.length).equals(value!));
    }),
  );
  await until(() => content.open === 0);
  assert.ok(content.pieces * content.pieceSize < 20 * LARGE);
});

test('closing lets what is on its way finish, and refuses nothing that it took', async (t) => {
  const { content, mirror, url } = await startMirror(t, { drainTimeout: 60_000 });
  const { digest, bytes } = content.addBlob(4 * MIB);
  let release = () => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  content.beforePiece = (position) => (position === 2 * MIB ? gate : undefined);
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`);
  const closed = mirror.close();
  await assert.rejects(fetch(`${url}/v2/`));
  release();
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes));
  await closed;
});

test('closing ends what does not finish in time: short, with FIN', async (t) => {
  const { content, mirror, port } = await startMirror(t, { drainTimeout: 100 });
  const { digest } = content.addBlob(4 * MIB);
  content.beforePiece = async (position, signal) => {
    if (position >= 2 * MIB) await once(signal, 'abort');
  };
  const socket = await dial(t, port);
  socket.write(requestText(`/v2/alpine/blobs/${digest}`));
  const ended = readToEnd(socket);
  await until(() => content.pieces >= (2 * MIB) / content.pieceSize);
  await mirror.close();
  const { body } = await ended;
  assert.equal(body.length, 2 * MIB);
  assert.equal(content.open, 0);
});
