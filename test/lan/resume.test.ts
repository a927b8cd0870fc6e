import assert from 'node:assert/strict';
import { containerd } from './clients/containerd.ts';
import { startDockerd } from './clients/dockerd.ts';
import { pullFrom } from './clients/pull-from.ts';
import { mostAtOnce, watched } from './clients/watched.ts';
import { inMidTransfer, since } from './counters.ts';
import { labTest } from './lab.ts';
import { GO } from './place.ts';
import { percent } from './pull.ts';

/** What TCP, HTTP and manifests may add to an image's bytes. */
const OVERHEAD = 1.03;

/** What may cross the uplink twice besides, where an agent is killed: the chunk in progress and what was in flight. */
const KILLED = 1.05;

/** Megabits a second: the largest layer takes 5 s. */
const RATE = 200;

labTest('dockerd, a body that ends short in mid-layer: it asks for the rest, from the byte on', async (lab) => {
  const { full } = lab.images;
  const { digest, size } = full.largest;
  const machine = await lab.addMachine();
  await machine.agent.start();
  const watch = watched(startDockerd, { cut: digest });
  const client = await lab.addClient(machine, watch.start);
  const uplink = since(lab.network.upstream.counters.sent);
  await pullFrom(client, 'docker.io', full);
  const crossed = uplink();
  const half = Math.floor(size / 2);
  const answers = await watch.blobAnswers(digest);
  assert.deepEqual(
    answers.map(({ range, status, sent }) => ({ range, status, sent })),
    [
      { range: null, status: 200, sent: half },
      { range: `bytes=${half}-`, status: 206, sent: size - half },
    ],
  );
  assert.deepEqual(resumed(await lab.clientLog(machine), digest), [half]);
  lab.note(`resumed at byte ${half} of ${size}; ${percent(crossed, full.size)} of the image crossed the uplink`);
  assert.ok(crossed >= full.size && crossed <= full.size * OVERHEAD, `${crossed} bytes for ${full.size}`);
});

labTest('dockerd, the agent killed in mid-layer and started again: the same pull goes on where it was', async (lab) => {
  const { base, full } = lab.images;
  const { digest, size } = full.largest;
  const machine = await lab.addMachine();
  await machine.agent.start();
  const client = await lab.addClient(machine, startDockerd);
  await pullFrom(client, 'docker.io', base);
  await lab.network.upstream.shape(RATE);
  const uplink = since(lab.network.upstream.counters.sent);
  const transfer = pullFrom(client, 'docker.io', full);
  const fault = () => machine.agent.process.signal('SIGKILL');
  await inMidTransfer({ moved: uplink, size, transfer, fault });
  await machine.agent.process.ended;
  await machine.agent.start();
  await transfer;
  const crossed = uplink();
  const offsets = resumed(await lab.clientLog(machine), digest);
  lab.note(`resumed at ${offsets} of ${size}; ${percent(crossed, size)} of the layer crossed the uplink`);
  assert.ok(offsets.length > 0 && offsets.every((offset) => offset > 0 && offset < size), `resumed at ${offsets}`);
  assert.ok(crossed <= size * KILLED, `${crossed} bytes for a layer of ${size}`);
});

if (GO !== undefined) {
  // Small enough for the largest layer to have eight parts left when the others, which share the eight, are there.
  const parts = { size: 4 * 1024 * 1024, atOnce: 8 };
  const program = containerd({ bin: GO, parts });
  labTest('containerd 2.4 fetches a cold layer in parts, eight at a time: upstream is read once', async (lab) => {
    const { full } = lab.images;
    const { digest, size } = full.largest;
    const machine = await lab.addMachine();
    await machine.agent.start();
    const watch = watched(program);
    const client = await lab.addClient(machine, watch.start);
    const uplink = since(lab.network.upstream.counters.sent);
    await pullFrom(client, 'docker.io', full);
    const crossed = uplink();
    const answers = await watch.blobAnswers(digest);
    const atOnce = mostAtOnce(answers);
    lab.note(
      `${percent(crossed, full.size)} of the image crossed the uplink; ${answers.length} parts, ${atOnce} at a time`,
    );
    const offsets = Array.from({ length: Math.ceil(size / parts.size) }, (_, part) => `bytes=${part * parts.size}-`);
    assert.deepEqual(answers.map(({ range }) => range).sort(), offsets.sort(), 'each part was asked for once');
    assert.ok(answers.every(({ status }) => status === 206));
    // One that the client has left may be heard of after the next was asked for.
    assert.ok(atOnce >= parts.atOnce, `${atOnce} at a time`);
    assert.ok(crossed >= full.size && crossed <= full.size * OVERHEAD, `${crossed} bytes for ${full.size}`);
  });
}

/** The offsets from which dockerd says that it goes on with a blob. */
function resumed(log: string, digest: string): number[] {
  return Array.from(log.matchAll(/attempting to resume download of \\?"(sha256:[0-9a-f]+)\\?" from (\d+) bytes/g))
    .filter(([, of]) => of === digest)
    .map(([, , offset]) => Number(offset));
}
