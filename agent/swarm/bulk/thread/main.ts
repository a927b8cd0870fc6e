/** The bulk thread: the TLS sockets of both directions, and the hashes of what comes. Started by ../thread.ts. */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { Inbound } from './inbound.ts';
import { listen } from './listener.ts';
import type { FromThread, ToThread } from './messages.ts';
import { Outbound } from './outbound.ts';
import { Tickets } from './tickets.ts';

if (parentPort === null) throw new Error('this file is a thread of the agent’s');
const port = parentPort;
const tell = (message: FromThread): void => port.postMessage(message);

const tickets = new Tickets();
const lanes = new Map<number, Inbound>();
const connections = new Map<number, Outbound>();
/** Lanes are numbered by the main thread from 1 on, connections here below 0: one name is one of either. */
let lastConnection = 0;

port.on('message', hear);

function hear(message: ToThread): void {
  switch (message.kind) {
    case 'listen':
      void answer(message.call, () => listenOn(message));
      break;
    case 'expect':
      tickets.add(message.ticket, message.key, message.peer, performance.now());
      tell({ kind: 'answer', call: message.call });
      break;
    case 'dial':
      lanes.set(message.lane, new Inbound(message, { tell, catchUp, onClosed: () => lanes.delete(message.lane) }));
      break;
    case 'take':
      lanes.get(message.lane)?.take(message);
      break;
    case 'allow':
      lanes.get(message.lane)?.allow(message.bytes);
      break;
    case 'abandon':
      lanes.get(message.lane)?.abandon(message.tag);
      break;
    case 'cancel':
      lanes.get(message.lane)?.cancel(message.tag);
      tell({ kind: 'answer', call: message.call });
      break;
    case 'send':
      connections.get(message.connection)?.send(message.id, message.bytes);
      break;
    case 'close':
      (lanes.get(message.which) ?? connections.get(message.which))?.close(message.reason);
  }
}

/** Hears what has been told and would be heard in the next round of the loop: a socket may be read for milliseconds. */
function catchUp(): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    hear(next.message);
  }
}

async function listenOn({ host, port: wanted }: { host: string; port: number }): Promise<number> {
  const { port: given } = await listen({ host, port: wanted }, tickets, (peer, socket) => {
    const connection = --lastConnection;
    connections.set(connection, new Outbound(connection, socket, tell, () => connections.delete(connection)));
    tell({ kind: 'joined', connection, peer });
  });
  return given;
}

async function answer(call: number, work: () => Promise<number>): Promise<void> {
  try {
    tell({ kind: 'answer', call, port: await work() });
  } catch (error) {
    tell({ kind: 'answer', call, error: (error as NodeJS.ErrnoException).code ?? String(error) });
  }
}
