import assert from 'node:assert/strict';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inMidTransfer, since } from './counters.ts';
import { labTest } from './lab.ts';
import { percent, pullRight } from './pull.ts';

/** Megabits a second: the largest layer takes 5 s. */
const RATE = 200;

/** What may cross the uplink twice: the chunk in progress, what was in flight, one damaged chunk, headers. */
const TOTAL = 1.05;

labTest(
  '7. killed in mid-download, the agent keeps what it has and finishes without fetching it twice',
  async (lab) => {
    const { base, full } = lab.images;
    const host = await lab.addHost();
    await host.agent.start();
    await pullRight(host, base);
    await lab.network.upstream.shape(RATE);
    const uplink = since(lab.network.upstream.counters.sent);
    const given = new AbortController();
    const pull = host.docker.pull(full.reference, given.signal);
    const part = await inMidTransfer({
      moved: uplink,
      size: full.largest.size,
      transfer: pull,
      fault: () => host.agent.process.signal('SIGKILL'),
    });
    // dockerd would resume its own body; here it has to ask for the whole layer again.
    given.abort();
    await pull;
    await host.agent.process.ended;
    const fetched = uplink();
    await damage(await largestFile(host.agent.store));
    await host.agent.start();
    const took = await pullRight(host, full);
    const total = uplink();
    lab.note(
      `killed at ${percent(part, 1)} of the layer, after ${fetched} bytes; pulled again in ${took.toFixed(1)} s; ` +
        `in all ${percent(total, full.largest.size)} of the layer crossed the uplink`,
    );
    assert.ok(total <= full.largest.size * TOTAL, `${total} bytes for a layer of ${full.largest.size}`);
  },
);

/** The partial: by far the largest file that is being written. */
async function largestFile(store: string): Promise<string> {
  const entries = await readdir(store, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('/blobs'))
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return { path, blocks: (await stat(path)).blocks };
      }),
  );
  const [largest] = files.sort((a, b) => b.blocks - a.blocks);
  assert.ok(largest !== undefined && largest.blocks * 512 > 1024 * 1024, 'nothing was kept of the layer');
  return largest.path;
}

/** A chunk early in the file no longer matches its record: what crashes do to pages that were not written back. */
async function damage(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.alloc(16), 0, 16, 5 * 1024 * 1024 + 4096);
  } finally {
    await file.close();
  }
}
