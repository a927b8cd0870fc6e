/**
 * The upstream of the fleet bench: a registry that makes its bytes up while it sends them, and misbehaves when told to.
 * Usage: fleet-registry.ts HOST PORT
 * Takes lines of JSON on standard input and answers each with one:
 *   {"image": {repository, tag, layers: [{seed, size}]}}  →  {manifest: {digest, size}, config: …, layers: […]}
 *   {"faults": [{kind, …}]}                               →  {ok: true}; these in place of those before
 * Writes each request that has ended to standard error, a line of JSON.
 */
import { createInterface } from 'node:readline';
import { generatedContent } from '../../test/support/content.ts';
import type { Fault } from '../../test/support/upstream-faults.ts';
import { startUpstreamRegistry } from '../../test/support/upstream-registry.ts';

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

interface ImageOrder {
  readonly repository: string;
  readonly tag: string;
  readonly layers: readonly { readonly seed: string; readonly size: number }[];
}

const [, , host = '', port = ''] = process.argv;
const registry = await startUpstreamRegistry({
  host,
  port: Number(port),
  // To the log: what was taken twice, and by whom, is seen here alone.
  ended: ({ at, clientAddress, method, path, range, status, bytes }) =>
    console.error(
      JSON.stringify({ at, took: Date.now() - at, client: clientAddress, method, path, range, status, bytes }),
    ),
});
const say = (what: unknown) => console.log(JSON.stringify(what));
say({ url: registry.url });

function publish({ repository, tag, layers: ordered }: ImageOrder) {
  const layers = ordered.map(({ seed, size }) => registry.addBlob(repository, generatedContent(seed, size)));
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const configuration = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs }));
  const config = registry.addBlob(repository, configuration);
  const body = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
    }),
  );
  const { digest } = registry.addManifest(repository, MANIFEST_TYPE, body, tag);
  return { manifest: { digest, size: body.length }, config, layers };
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as { image?: ImageOrder; faults?: Fault[] };
  // Only the newest row's requests are of any use, and they are kept one by one.
  registry.forget();
  if (order.image !== undefined) say(publish(order.image));
  else {
    registry.behave();
    for (const fault of order.faults ?? []) registry.misbehave(fault);
    say({ ok: true });
  }
}
await registry.close();
