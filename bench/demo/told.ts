import type { Host } from '../../test/support/host.ts';
import type { PulledImage } from '../../test/support/puller.ts';
import { table } from '../table.ts';

/** What is told of one pull. Bytes. */
export interface Told {
  readonly who: string;
  readonly upstream: number;
  readonly peers: number;
  readonly store: number;
  readonly image: PulledImage;
  readonly matches: boolean;
  readonly ms: number;
}

/** Pulls as dockerd would and notes where the bytes came from. */
export async function pullAndTell(who: string, host: Host, repository: string): Promise<Told> {
  const before = (await host.agent.status()).traffic;
  const started = performance.now();
  const image = await host.pull(repository, 'latest');
  const ms = performance.now() - started;
  const after = (await host.agent.status()).traffic;
  return {
    who,
    upstream: after.upstreamBytes - before.upstreamBytes,
    peers: after.peerBytes - before.peerBytes,
    store: after.clientBytes.store - before.clientBytes.store,
    image,
    matches: image.matches,
    ms,
  };
}

/** Prints where each host's bytes came from, and the digests recomputed from what its puller received. */
export function tell(told: readonly Told[]): void {
  const rows = told.map((each) => [
    each.who,
    inMib(each.upstream),
    inMib(each.peers),
    inMib(each.store),
    `${each.ms.toFixed(0)} ms`,
  ]);
  console.log(table(['', 'from upstream', 'from peers', 'own store', 'time'], rows));
  for (const { who, image } of told) {
    const pulled = [image.manifest, ...image.blobs];
    const wrong = pulled.filter((blob) => blob.digest !== blob.recomputed);
    const digests = pulled.map((blob) => blob.recomputed.slice(7, 15)).sort();
    const verdict = wrong.length === 0 ? `all ${pulled.length} as asked for` : `${wrong.length} WRONG`;
    console.log(`${who} received sha256 ${digests.join(' ')}: ${verdict}`);
  }
}

function inMib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
