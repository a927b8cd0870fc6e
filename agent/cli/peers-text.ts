import type { PeerStatus } from '../observe/status.ts';
import { printable, shortId, withoutPeer } from './printable.ts';

const HEADINGS = ['PEER', 'STATE', 'BLOBS', 'STRIKES', 'BULK', 'ADDRESS'];

/** Columns that hold numbers. */
const RIGHT = new Set([2, 3]);

/**
 * What `layerlan peers` shows: a line for each peer, and one more for each further address; below, why bulk lanes have
 * failed, which has no room in a column.
 */
export function peersText(peers: readonly PeerStatus[]): string {
  if (peers.length === 0) return 'No peers are known.\n';
  const rows = peers.flatMap(({ id, addresses, state, blobs, strikes, bulk }) => {
    const name = id === null ? '–' : shortId(id);
    const [first = '–', ...others] = addresses.map(withoutPeer).map(printable);
    const row = [
      name,
      printable(state),
      blobs === null ? '–' : String(blobs),
      String(strikes),
      bulk === null ? '–' : stateOf(bulk),
      first,
    ];
    return [row, ...others.map((address) => ['', '', '', '', '', address])];
  });
  const table = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table
    .map((row) => {
      const cells = row.map((cell, column) =>
        RIGHT.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      );
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
  const failures = peers.flatMap(({ id, bulk }) =>
    bulk?.includes(':') === true ? [`${id === null ? '–' : shortId(id)}: no bulk lane, ${printable(bulk)}\n`] : [],
  );
  return failures.length === 0 ? lines : `${lines}\n${failures.join('')}`;
}

/** The first word of what a lane is: why it failed may be long. */
function stateOf(bulk: string): string {
  return printable(bulk.split(':')[0] ?? '');
}
