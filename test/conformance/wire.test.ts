import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Wire } from './wire.ts';

/** A server that sends these pieces, whatever it is asked, and closes. */
async function saying(t: TestContext, ...pieces: string[]): Promise<Wire> {
  const server = createServer(async (socket) => {
    socket.on('error', () => {});
    await once(socket, 'data');
    for (const piece of pieces) {
      socket.write(piece, 'latin1');
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const wire = await Wire.open({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  t.after(() => {
    wire.close();
    server.close();
  });
  return wire;
}

test('a body of a length, in whatever pieces it comes, and the answer behind it', async (t) => {
  const two = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhelloHTTP/1.1 204\r\n\r\n';
  const wire = await saying(t, ...two);
  const first = await wire.ask({ path: '/' });
  assert.equal(first.status, 200);
  assert.equal(first.header('x-a'), 'b');
  assert.equal(first.header('x-b'), undefined);
  assert.equal(first.body.toString(), 'hello');
  assert.equal((await wire.ask({ path: '/' })).status, 204);
});

test('a body in chunks, and one that ends with the connection', async (t) => {
  const chunked = await saying(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n',
  );
  assert.equal((await chunked.ask({ path: '/' })).body.toString(), 'abc0123456789');
  const closed = await saying(t, 'HTTP/1.1 200 OK\r\n\r\nall', ' of it');
  assert.equal((await closed.ask({ path: '/' })).body.toString(), 'all of it');
});

test('an answer to HEAD has no body, whatever length it tells', async (t) => {
  const wire = await saying(t, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
  assert.equal((await wire.ask({ method: 'HEAD', path: '/' })).body.length, 0);
});

test('what is no HTTP, too short or told twice is a failure', async (t) => {
  for (const [said, why] of [
    ['', /ended before/],
    ['SSH-2.0\r\n\r\n', /status line/],
    ['HTTP/1.1 200 OK\r\nno header\r\n\r\n', /no header/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell', /1 of 5 bytes early/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello', /2 headers/],
    ['HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello', /content-length/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n', /longer than it says/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', /transfer-encoding/],
  ] as const) {
    const wire = await saying(t, said);
    await assert.rejects(wire.ask({ path: '/' }), why, said);
  }
});
