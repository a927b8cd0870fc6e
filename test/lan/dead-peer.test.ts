import assert from 'node:assert/strict';
import { inMidTransfer, since } from './counters.ts';
import { type Host, type Lab, labTest, untilConnected } from './lab.ts';
import { percent, pullRight } from './pull.ts';

/** Slow enough for a fault to find its moment: the largest layer takes 5 s. Megabits a second. */
const RATE = 200;

/** The default of peers.stallTimeout. Seconds. */
const STALL_TIMEOUT = 5;

/** What a pull needs beside a stall: the rest from upstream, and unpacking. Seconds. */
const REST = 6;

labTest('4. the peer is killed in mid-transfer: docker sees no error', async (lab) => {
  const { part, took } = await pullWithFault(lab, (first) => first.agent.process.signal('SIGKILL'));
  lab.note(`killed at ${part} of the layer; the pull ended ${took.toFixed(1)} s later`);
});

labTest('5. the peer stops sending without closing: the pull goes on elsewhere', async (lab) => {
  const { second, part, took } = await pullWithFault(lab, (first) => first.agent.process.signal('SIGSTOP'));
  lab.note(`stopped at ${part} of the layer; the pull ended ${took.toFixed(1)} s later`);
  assert.ok(took < 3 * (STALL_TIMEOUT + REST), `the pull hung for ${took} s`);
  assert.ok((await second.agent.metric('layerlan_strikes_total', { offence: 'stalled' })) > 0, 'the stall was noted');
});

/** The second host pulls the largest layer from the first, which meets with `fault` in the middle of it. */
async function pullWithFault(lab: Lab, fault: (first: Host) => void) {
  const { base, full } = lab.images;
  const [first, second] = [await lab.addHost(), await lab.addHost()];
  await Promise.all([first.agent.start(), second.agent.start()]);
  await untilConnected(first.agent, second.agent);
  await pullRight(first, full);
  await pullRight(second, base);
  await first.space.shape(RATE);
  const pull = pullRight(second, full);
  let struck = 0;
  const part = await inMidTransfer({
    moved: since(first.space.counters.sent),
    size: full.largest.size,
    transfer: pull,
    fault: () => {
      fault(first);
      struck = performance.now();
    },
  });
  await pull;
  return { second, part: percent(part, 1), took: (performance.now() - struck) / 1000 };
}
