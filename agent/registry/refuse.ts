import type { ServerResponse } from 'node:http';
import type { AgentError } from '../errors.ts';
import { problemOf } from './problem.ts';

/** Answers a request that no handler has seen with an error, and ends the connection. */
export function refuse(response: ServerResponse, error: AgentError): void {
  const { status, body } = problemOf(error);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    Connection: 'close',
  });
  response.end(body);
}
