import assert from 'node:assert/strict';
import { access, open, stat, utimes } from 'node:fs/promises';
import { digestOfFile } from './agent.ts';
import { type Host, labTest, untilConnected } from './lab.ts';
import { pullRight } from './pull.ts';

labTest('3a. bits flipped in a store: noticed before a wrong byte leaves for a peer', async (lab) => {
  const { full } = lab.images;
  const [first, third] = [await lab.addHost(), await lab.addHost()];
  await Promise.all([first.agent.start(), third.agent.start()]);
  await untilConnected(first.agent, third.agent);
  await pullRight(first, full);
  const held = await first.agent.metric('layerlan_blobs');
  await flipBit(first.agent.blobFile(full.largest.digest));

  await pullRight(third, full);
  await wasNoticed(first, full.largest.digest);
  assert.equal(await first.agent.metric('layerlan_blobs'), held - 1, 'still held, and so advertised');
  await assert.rejects(access(first.agent.blobFile(full.largest.digest)), 'its file is still among the held');
  assert.equal(await third.agent.metric('layerlan_refused_chunks_total', { source: 'peer' }), 0, 'a wrong byte left');

  await first.docker.command('image', 'rm', full.reference);
  await pullRight(first, full);
  assert.equal(await digestOfFile(first.agent.blobFile(full.largest.digest)), full.largest.digest);
});

labTest('3a. the same for the host’s own docker, the file’s time put back and upstream gone', async (lab) => {
  const { base } = lab.images;
  const [first, second] = [await lab.addHost(), await lab.addHost()];
  await Promise.all([first.agent.start(), second.agent.start()]);
  await untilConnected(first.agent, second.agent);
  await pullRight(first, base);
  await pullRight(second, base);
  await lab.network.upstream.unplug();
  const held = await first.agent.metric('layerlan_blobs');
  const file = first.agent.blobFile(base.largest.digest);
  const { atime, mtime } = await stat(file);
  await flipBit(file);
  await utimes(file, atime, mtime);

  await first.docker.command('image', 'rm', base.reference);
  await pullRight(first, base, { reference: `lan@${base.digest}`, mayEndShort: true });
  await wasNoticed(first, base.largest.digest);
  assert.equal(await first.agent.metric('layerlan_blobs'), held, 'held again, from elsewhere');
  assert.equal(await digestOfFile(file), base.largest.digest);
  assert.ok((await first.agent.metric('layerlan_peer_bytes_total')) > 0, 'what was wrong came from the neighbour');
});

/** The agent counted what no longer matched, and says so. */
async function wasNoticed(host: Host, digest: string): Promise<void> {
  assert.ok((await host.agent.metric('layerlan_refused_chunks_total', { source: 'store' })) > 0, 'not noticed');
  const told = (await host.agent.log()).filter((line) => line.level >= 40 && JSON.stringify(line).includes(digest));
  assert.ok(told.length > 0, 'the log does not tell of it');
}

/** Damages one bit in the middle of a file, in place. */
async function flipBit(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const position = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, position);
    await file.write(Buffer.from([(byte[0] as number) ^ 1]), 0, 1, position);
  } finally {
    await file.close();
  }
}
