import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/** The thread of a {@link startDeafServer}: it freezes as a whole, in the middle of whatever it does. */
const frozen = workerData as Int32Array;
const BODY = JSON.stringify({ schemaVersion: 2 });
const server = createServer({ keepAliveTimeout: 60_000 }, (_request, response) => {
  response.writeHead(200, {
    'content-type': 'application/vnd.oci.image.manifest.v1+json',
    'content-length': BODY.length,
  });
  response.end(BODY);
});
parentPort?.on('message', () => {
  parentPort?.postMessage('frozen');
  Atomics.wait(frozen, 0, 1);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort?.postMessage((server.address() as AddressInfo).port);
});
