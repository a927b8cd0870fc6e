import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { parseAddress } from '../../../agent/address.ts';
import { BLOB, BLOB_DIGEST } from '../../support/mirror-process/content.ts';
import { startMirrorProcess } from '../../support/mirror-process/start.ts';
import { requestText } from './support.ts';

const CONNECTIONS = 1_000;

/** What a connection that idles may cost the mirror's heap. Bytes. */
const MAY_COST = 32 * 1024;

/** Bytes that may be left of a thousand connections. */
const MAY_STAY = 4 * 1024 * 1024;

test('a thousand idle connections cost little, hinder no pull, and leave nothing', { timeout: 120_000 }, async (t) => {
  const mirror = await startMirrorProcess(t);
  const [address] = mirror.addresses;
  const pull = async () => {
    const response = await fetch(`http://${address}/v2/alpine/blobs/${BLOB_DIGEST}`);
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(BLOB));
  };
  await pull();
  const before = await mirror.state();
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let index = 0; index < CONNECTIONS; index++) {
    const socket = connect(parseAddress(address!)!);
    sockets.push(socket);
    socket.write(requestText('/v2/'));
    await once(socket, 'data');
  }
  const during = await mirror.state();
  await pull();
  assert.ok(sockets.every((socket) => !socket.destroyed));
  assert.ok(during.bytes - before.bytes < CONNECTIONS * MAY_COST, `${during.bytes - before.bytes} bytes`);
  for (const socket of sockets) socket.write(requestText('/v2/'));
  await Promise.all(sockets.map((socket) => once(socket, 'data')));
  for (const socket of sockets) socket.destroy();
  // Its connections are kept for the next request.
  await fetch(`http://${address}/v2/`, { headers: { Connection: 'close' } });
  const after = await mirror.stateAtRest();
  assert.ok(after.bytes - before.bytes < MAY_STAY, `${after.bytes - before.bytes} bytes stay`);
  assert.deepEqual(after.log, []);
});
