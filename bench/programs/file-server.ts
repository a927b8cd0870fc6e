/**
 * The rival of a local hit: node:http that pipes one file.
 * Usage: file-server.ts FILE. Prints one line of JSON, {port}, when it listens.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const file = process.argv[2] ?? '';
const { size } = statSync(file);
const server = createServer((_request, response) => {
  response.setHeader('Content-Length', size);
  createReadStream(file).pipe(response);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
