import assert from 'node:assert/strict';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOfFile, MIRROR } from './agent.ts';
import { must } from './commands.ts';
import { labTest, untilConnected } from './lab.ts';
import { publishLargeImage } from './large-image.ts';
import { LAB_DIR } from './place.ts';
import { pullRight } from './pull.ts';
import { blobGets } from './registry.ts';

const MIB = 1024 * 1024;

/** What must be held afterwards of a disk of 300 MiB. Bytes. */
const PROMISED = 150 * MIB;

labTest(
  'a disk far too small for what is pulled: every pull succeeds, and what fits is held and served',
  async (lab) => {
    const large = await publishLargeImage(16, 64);
    const disk = join(LAB_DIR, 'small-disk');
    await mkdir(disk, { recursive: true });
    // Before the host: what is mounted later is not seen from its namespace.
    await must(['mount', '-t', 'tmpfs', '-o', 'size=300m', 'tmpfs', disk]);
    let stop = async () => {};
    try {
      const first = await lab.addHost({ store: { path: disk, maxSize: '1GiB', minFree: '16MiB' } });
      const second = await lab.addHost();
      const { agent } = first;
      stop = () => agent.stop();
      await Promise.all([agent.start(), second.agent.start()]);
      await untilConnected(agent, second.agent);
      for (let round = 0; round < 2; round++) {
        await pullRight(first, large);
        await first.docker.command('image', 'rm', large.reference);
      }

      const held = (await agent.heldBlobs()).filter((digest) => large.blobs.some((blob) => blob.digest === digest));
      let bytes = 0;
      for (const digest of held) {
        assert.equal(await digestOfFile(agent.blobFile(digest)), digest);
        bytes += (await stat(agent.blobFile(digest))).size;
      }
      lab.note(`${Math.round(bytes / MIB)} MiB of ${Math.round(large.size / MIB)} MiB are held`);
      assert.ok(bytes >= PROMISED, `${bytes} bytes are held`);
      assert.equal(await agent.metric('layerlan_store_state', { state: 'failing' }), 0);
      assert.ok((await agent.metric('layerlan_evicted_blobs_total')) > 0);

      const before = blobGets(await lab.registry.requests()).length;
      for (const digest of held) {
        const url = `${MIRROR}/v2/library/large/blobs/${digest}`;
        await must([...second.space.enter, 'curl', '--silent', '--fail', '--output', '/dev/null', url], {
          timeout: 60_000,
        });
      }
      assert.equal(
        blobGets(await lab.registry.requests()).length,
        before,
        'taken from upstream, not from the neighbour',
      );
    } finally {
      await stop();
      await must(['umount', '--lazy', disk]);
    }
  },
);
