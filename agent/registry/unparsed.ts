import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { AgentError } from '../errors.ts';
import { endLingering } from './linger.ts';
import { problemOf } from './problem.ts';

/** What a client is told of what Node's parser makes of its request. `code` is the parser's. */
export function errorOfParser(code: string | undefined): AgentError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AgentError('HEADERS_TOO_LARGE', 'The request line and headers are longer than 16 KiB.');
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new AgentError('REQUEST_LATE', 'The request did not come whole in time.');
  }
  return new AgentError('REQUEST_INVALID', 'The request breaks the rules of HTTP/1.1.');
}

/**
 * Answers where there is no request to answer to: straight on the socket, with the error that the mirror would give,
 * and ends the connection. Nothing may be under way on it.
 */
export function answerUnparsed(socket: Duplex, error: AgentError, headers = ''): void {
  // An answer that ends the connection is on its way already.
  if (socket.writableEnded) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, body } = problemOf(error);
  const head =
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
    'Docker-Distribution-API-Version: registry/2.0\r\n' +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n${headers}Connection: close\r\n\r\n`;
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
  endLingering(socket);
}
