import { bitmapOf, setBit } from '../../../protocol/bitmap.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import type { Host } from './host.ts';
import type { World } from './world.ts';

/** What one says it has from upstream, that takes nothing of it. Bytes a ms: as on a slow line */
const MADE_UP = 200;

/** What a host really sends where its rules want `message` sent: an honest one just that. */
export function bend(host: Host, message: FleetMessage, world: World): FleetMessage | undefined {
  switch (host.lie) {
    case 'boasts':
    case 'lacks':
      return message.type === 'taking' ? { ...message, marks: everything(message.size) } : message;
    case 'stalls':
      return message.type === 'taking' ? { ...message, received: 0 } : message;
    case 'drips':
      return message.type === 'taking' ? { ...message, received: Math.floor(world.agenda.now / 1_000) } : message;
    case 'inflates':
      return message.type === 'taking' ? { ...message, received: Math.floor(world.agenda.now * MADE_UP) } : message;
    case 'renews':
      return message.type === 'taking' ? renewed(message, world.agenda.now) : message;
    case 'unsays':
      return message.type === 'taking' ? unsaid(message, world.agenda.now) : message;
    case 'snaps':
      return message.type === 'taking' ? snapped(message, world) : message;
    case 'refuses':
      return isVerdict(message) ? { type: 'refuse', digest: message.digest, fetching: [], partners: [] } : message;
    case 'names':
      return isVerdict(message)
        ? {
            type: 'refuse',
            digest: message.digest,
            fetching: world.hosts.slice(0, 3).map(({ name }) => name),
            partners: [],
          }
        : message;
    case 'grants':
      return isVerdict(message) ? { type: 'grant', digest: message.digest, segment: [0, 1], partners: [] } : message;
    default:
      return message;
  }
}

/** It holds a lease of everything for four seconds, and none for a moment; and says that bytes come. */
function renewed(message: Extract<FleetMessage, { type: 'taking' }>, now: number): FleetMessage {
  const leases: [number, number][] = now % 4_000 < 300 ? [] : [[0, chunksOf(message.size)]];
  return { ...message, leases, received: Math.floor(now * MADE_UP) };
}

/** It holds a lease of everything, says for a moment that all has come, and has neither the next moment. */
function unsaid(message: Extract<FleetMessage, { type: 'taking' }>, now: number): typeof message {
  const time = now % 2_000;
  const all = everything(message.size);
  const marks = time >= 1_680 && time < 1_980 ? all : new Uint8Array(all.length);
  const leases: [number, number][] = time < 1_980 ? [[0, chunksOf(message.size)]] : [];
  return { ...message, marks, leases, received: Math.floor(now * MADE_UP) };
}

/** It says to have all while anybody honest takes it, so that they leave it be; else the same. */
function snapped(message: Extract<FleetMessage, { type: 'taking' }>, { hosts, agenda }: World): FleetMessage {
  const isTaken = hosts.some((host) => host.lie === undefined && host.holds.get(message.digest)?.flow !== undefined);
  const said = unsaid(message, agenda.now);
  return isTaken ? { ...said, marks: everything(message.size) } : said;
}

function isVerdict({ type }: FleetMessage): boolean {
  return type === 'grant' || type === 'refuse';
}

function everything(size: number | null): Uint8Array {
  const count = chunksOf(size);
  const all = bitmapOf(count);
  for (let index = 0; index < count; index++) setBit(all, index);
  return all;
}

function chunksOf(size: number | null): number {
  return size === null ? 1 : layoutOf(size).count;
}
