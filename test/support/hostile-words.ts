import { CHUNK_SIZE, MAX_CHUNKS } from './independent-blob.ts';
import type { Message } from './independent-wire.ts';

/* What a hostile taker says to those who take a blob with it; see hostile-taker.ts for what may be imported here. */

/** What it does; whatever is not said it does not do at all. */
export const TAKER_BEHAVIOURS = {
  empty: 'says that it has every chunk of everything, and has none',
  lies: 'says so, and gives false chunks that it signs itself',
  slips: 'says so, and gives true chunks, but one of twenty false, all of which it signs itself',
  forges: 'says so, and gives false chunks under somebody else’s name',
  unsigned: 'says so, and gives false chunks that nobody signs',
  stalls: 'says so, and stops in the middle of the first chunk',
  hoards: 'says that it takes everything from upstream, and nothing comes of it',
  'makes-up': 'says that it takes everything from upstream, and that ever more bytes come, but never a chunk',
  refuses: 'refuses every claim, and names nobody',
  names: 'refuses every claim, and names peers that there are none of',
  grants: 'grants everybody everything',
  accuses: 'accuses whoever takes anything',
  boasts: 'says that it holds the whole of whatever it hears of or is asked for, and then that it has none of it',
  'puts-off': 'says that it holds the whole of whatever somebody else holds, and is then always busy',
} as const;

export type TakerBehaviour = keyof typeof TAKER_BEHAVIOURS;

/** What comes to it, as it says. Bytes a millisecond: as on a slow line. */
const MADE_UP = 200;

/** What it says to `peer`, who has said that it takes a blob or wants to. */
export function answersTo(
  { type, digest, size }: Message,
  behaviour: TakerBehaviour,
  self: string,
  peer: string,
): Message[] {
  const count = size === null ? 1 : Math.ceil(Number(size) / CHUNK_SIZE);
  const state = (marks: Uint8Array, leases: number[][]): Message => ({
    type: 'taking',
    digest,
    size,
    marks,
    mapped: null,
    leases,
    received: 0,
  });
  const none = new Uint8Array(Math.max(1, Math.ceil(count / 8)));
  switch (behaviour) {
    case 'empty':
    case 'lies':
    case 'slips':
    case 'forges':
    case 'unsigned':
    case 'stalls': {
      const all = none.map((_, at) => (at < Math.floor(count / 8) ? 0xff : 2 ** (count % 8) - 1));
      return [state(all, [])];
    }
    case 'hoards':
      return [state(none, [[0, count]])];
    case 'makes-up':
      return [{ ...state(none, [[0, count]]), received: Math.floor(performance.now() * MADE_UP) }];
    case 'refuses':
      return type === 'claim' ? [{ type: 'refuse', digest, fetching: [], partners: [] }] : [];
    case 'names': {
      const nobody = ['12D3KooWHoSyTgntm77sXShoeX9uNkqKNMhHxKtskaHqnA54SrSG', self];
      return type === 'claim' ? [{ type: 'refuse', digest, fetching: nobody, partners: nobody }] : [];
    }
    case 'grants':
      return type === 'claim' ? [{ type: 'grant', digest, segment: [0, MAX_CHUNKS], partners: [] }] : [];
    case 'accuses':
      return [{ type: 'accuse', digest, size: 1, index: 0, sha256: Buffer.alloc(32), mark: [peer, Buffer.alloc(64)] }];
    // What those say they say as an announcement.
    case 'boasts':
    case 'puts-off':
      return [];
  }
}
