import { AgentError } from '../errors.ts';
import type { Command } from './command.ts';
import type { Gone, Store } from './ports.ts';

/**
 * `layerlan gc`: partials that nobody touched for a day go, then what was used longest ago, until the store takes `to`
 * bytes of the disk (what its bounds allow, where that is not given). With `dry-run=true` it only tells. A line each.
 */
export function createGc({ collection }: Pick<Store, 'collection'>): Command {
  return async function* gc({ optional, flag, signal }) {
    const to = sizeOf(optional('to')) ?? (await collection.allowed());
    const isDry = flag('dry-run');
    const before = collection.used;
    let blobs = 0;
    let partials = 0;
    let room = 0;
    for await (const batch of isDry ? [collection.plan(to)] : collection.collect(to, signal)) {
      for (const gone of batch) {
        if (gone.kind === 'blob') blobs += 1;
        else partials += 1;
        room += gone.room;
        yield lineOf(gone);
      }
    }
    const used = isDry ? before - room : collection.used;
    yield { done: { dryRun: isDry, blobs, partials, size: room, used, to } };
  };
}

function lineOf({ digest, kind, room, lastUsed }: Gone) {
  return { gone: digest, kind, size: room, lastUsed: new Date(lastUsed).toISOString() };
}

function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,15}$/.test(text)) throw new AgentError('REQUEST_INVALID', 'The to parameter is a number of bytes.');
  return Number(text);
}
