/**
 * Stands between a client and the agent of its host, in the same network namespace. It passes on what each says, and
 * prints a line of JSON for each answer when that has ended: {@link Answer} of clients/watched.ts.
 *
 * Usage: answers-proxy.ts PORT AGENT_PORT [DIGEST]
 * The first whole answer for the blob DIGEST ends short in its middle, as where a server closes: with a FIN.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

const [port, agentPort, digest] = process.argv.slice(2);
let isCut = false;

/** How many bytes of a body may pass. */
function allowance(asked: IncomingMessage, answer: IncomingMessage): number {
  if (isCut || digest === undefined || asked.method !== 'GET' || !asked.url?.includes(digest)) {
    return Number.POSITIVE_INFINITY;
  }
  if (answer.statusCode !== 200) return Number.POSITIVE_INFINITY;
  isCut = true;
  return Math.floor(Number(answer.headers['content-length']) / 2);
}

interface Exchange {
  readonly asked: IncomingMessage;
  readonly answer: IncomingMessage;
  readonly response: ServerResponse;
  /** When it was asked. Milliseconds. */
  readonly begun: number;
}

async function pass({ asked, answer, response, begun }: Exchange): Promise<void> {
  const most = allowance(asked, answer);
  let sent = 0;
  const head = async function* (body: AsyncIterable<Buffer>) {
    for await (const piece of body) {
      const part = piece.subarray(0, most - sent);
      sent += part.length;
      yield part;
      if (sent === most) return;
    }
  };
  response.writeHead(answer.statusCode as number, answer.rawHeaders);
  try {
    await pipeline(answer, head, response, { end: most === Number.POSITIVE_INFINITY });
    // A FIN behind all that was written, not a reset.
    if (most !== Number.POSITIVE_INFINITY) response.socket?.end();
  } catch {
    // The client left early, or the agent is gone: either way both ends are closed by now.
  }
  const { method, url: path } = asked;
  const [range, status, ended] = [asked.headers.range ?? null, answer.statusCode, performance.now()];
  process.stdout.write(`${JSON.stringify({ method, path, range, status, sent, begun, ended })}\n`);
}

createServer((asked, response) => {
  const begun = performance.now();
  const { method, url: path, rawHeaders: headers } = asked;
  const passed = request({ host: '127.0.0.1', port: Number(agentPort), method, path, headers });
  passed.on('response', (answer) => void pass({ asked, answer, response, begun }));
  passed.on('error', () => response.destroy());
  asked.pipe(passed);
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
