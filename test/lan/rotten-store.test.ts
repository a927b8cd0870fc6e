import assert from 'node:assert/strict';
import { access, open, stat, utimes } from 'node:fs/promises';
import { digestOfFile } from './agent.ts';
import { type Host, type Lab, labTest, untilConnected } from './lab.ts';
import { pullRight } from './pull.ts';

labTest('3a. bits flipped in a store: the agent notices before a wrong byte leaves, for a peer', async (lab) => {
  const [first, third] = await filledAndEmpty(lab);
  const held = await first.agent.metric('layerlan_blobs');
  await flipBit(first.agent.blobFile(lab.images.full.largest.digest));
  await pullRight(third, lab.images.full);
  await wasNoticed(first, lab, held);
  assert.equal(await third.agent.metric('layerlan_refused_chunks_total', { source: 'peer' }), 0, 'a wrong byte left');
  await pullsItsOwn(first, lab);
});

labTest('3a. the same with the file’s time put back, and the host’s own docker asking first', async (lab) => {
  const [first, third] = await filledAndEmpty(lab);
  const held = await first.agent.metric('layerlan_blobs');
  const file = first.agent.blobFile(lab.images.full.largest.digest);
  const { atime, mtime } = await stat(file);
  await flipBit(file);
  await utimes(file, atime, mtime);
  await first.docker.command('image', 'rm', lab.images.full.reference);
  const pull = pullRight(first, lab.images.full);
  await pull;
  assert.ok((await first.agent.metric('layerlan_refused_chunks_total', { source: 'store' })) > 0, 'not noticed');
  assert.equal(await first.agent.metric('layerlan_blobs'), held, 'held again, from elsewhere');
  await pullRight(third, lab.images.full);
  assert.equal(await third.agent.metric('layerlan_refused_chunks_total', { source: 'peer' }), 0, 'a wrong byte left');
});

/** A host that has pulled the image, and a neighbour that has nothing. */
async function filledAndEmpty(lab: Lab): Promise<[Host, Host]> {
  const [first, third] = [await lab.addHost(), await lab.addHost()];
  await Promise.all([first.agent.start(), third.agent.start()]);
  await untilConnected(first.agent, third.agent);
  await pullRight(first, lab.images.full);
  return [first, third];
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

async function wasNoticed(host: Host, lab: Lab, held: number): Promise<void> {
  const { digest } = lab.images.full.largest;
  assert.ok((await host.agent.metric('layerlan_refused_chunks_total', { source: 'store' })) > 0, 'not noticed');
  assert.equal(await host.agent.metric('layerlan_blobs'), held - 1, 'still held, and so advertised');
  await assert.rejects(access(host.agent.blobFile(digest)), 'its file is still among the held');
  const told = (await host.agent.log()).filter((line) => line.level >= 40 && JSON.stringify(line).includes(digest));
  assert.ok(told.length > 0, 'the log does not tell of it');
}

async function pullsItsOwn(host: Host, lab: Lab): Promise<void> {
  const { full } = lab.images;
  await host.docker.command('image', 'rm', full.reference);
  await pullRight(host, full);
  assert.equal(await digestOfFile(host.agent.blobFile(full.largest.digest)), full.largest.digest);
}
