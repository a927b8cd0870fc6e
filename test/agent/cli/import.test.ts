import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLayout } from '../../../agent/cli/layout/write.ts';
import { toDigest } from '../../../protocol/digest.ts';
import { command } from './support.ts';

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const NAME = 'docker.io/library/app:v1';

function blobOf(value: unknown) {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
  async function* from(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  return { digest, size: bytes.length, from };
}

test('an index of which no platform is in the layout has no name, and one of which some are has', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-import-'));
  t.after(() => rm(directory, { recursive: true }));
  const store = join(directory, 'store');
  await mkdir(store);
  await writeFile(join(store, 'owner.key'), 'k');
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(`http://agent${request.url}`);
    asked.push(pathname);
    const tagged = { image: searchParams.get('image'), digest: searchParams.get('digest'), was: null };
    request.resume();
    response.end(JSON.stringify(pathname.endsWith('import-tag') ? tagged : { held: false }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;

  const layout = join(directory, 'layout');
  const writer = await openLayout(layout);
  const config = blobOf({});
  const [here, elsewhere] = [blobOf({ config, layers: [] }), blobOf({ config, layers: [], of: 'another' })];
  const index = blobOf({ manifests: [elsewhere, here].map(({ digest, size }) => ({ digest, size })) });
  await writer.add(index, index.from);
  await writer.list({ digest: index.digest, size: index.size, mediaType: INDEX_TYPE, fullName: NAME, tag: 'v1' });
  const run = () =>
    command('import', layout, '--set', `store.path=${store}`, '--set', `mirror.listen=127.0.0.1:${port}`);

  const { exit, out, err } = await run();
  assert.deepEqual({ exit, out }, { exit: 1, out: '' });
  assert.match(err, new RegExp(`${index.digest} is refused: nothing that it lists is in the layout`));
  assert.ok(!asked.includes('/agent/import-tag'), 'what the tag was here must stay');

  for (const blob of [config, here]) await writer.add(blob, blob.from);
  const again = await run();
  assert.deepEqual({ exit: again.exit, err: again.err }, { exit: 0, err: '' });
  assert.match(again.out, new RegExp(`^${NAME} is ${index.digest}\n.* in 1 blobs\n$`));
  assert.ok(asked.includes('/agent/import-tag'));
});
