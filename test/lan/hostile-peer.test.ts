import assert from 'node:assert/strict';
import { digestOfFile } from './agent.ts';
import { addHostilePeer } from './hostile.ts';
import { labTest } from './lab.ts';
import { pullRight } from './pull.ts';

labTest(
  '3b. a peer sends flipped chunks: refused, counted, its sender named, and the pull still right',
  async (lab) => {
    const { base } = lab.images;
    const third = await lab.addHost();
    await third.agent.start();
    const liar = await addHostilePeer(lab, 'flip', base, third);
    const took = await pullRight(third, base);
    lab.note(`pulled in ${took.toFixed(1)} s`);
    const refused = await third.agent.metric('layerlan_refused_chunks_total', { source: 'peer' });
    const told = (await third.agent.log()).filter((line) => line.level >= 40 && JSON.stringify(line).includes(liar));
    lab.note(`${refused} chunks refused; ${told.length} lines name their sender: ${told.map((line) => line.msg)}`);
    assert.ok(refused > 0, 'counted');
    assert.ok(told.length > 0, 'its sender named in the log');
    const entry = (await third.agent.peers()).find((peer) => peer.id === liar);
    assert.ok(entry !== undefined && entry.strikes > 0, `its sender named by layerlan peers: ${JSON.stringify(entry)}`);

    const held = await third.agent.heldBlobs();
    for (const { digest } of base.blobs) assert.ok(held.includes(digest), `${digest} is not held`);
    for (const digest of held) assert.equal(await digestOfFile(third.agent.blobFile(digest)), digest);
  },
);

labTest('5. a peer sends half a chunk and then nothing: the pull goes on elsewhere', async (lab) => {
  const { base } = lab.images;
  const host = await lab.addHost();
  await host.agent.start();
  const staller = await addHostilePeer(lab, 'stall', base, host);
  const took = await pullRight(host, base);
  lab.note(`pulled in ${took.toFixed(1)} s`);
  // The stall time-out of 5 s, and what a pull takes anyway, with three times headroom.
  assert.ok(took < 30, `the pull hung for ${took} s`);
  assert.ok((await host.agent.metric('layerlan_strikes_total', { offence: 'stalled' })) > 0, 'the stall was noted');
  const told = (await host.agent.log()).some((line) => JSON.stringify(line).includes(staller));
  assert.ok(told, 'its sender named in the log');
});
