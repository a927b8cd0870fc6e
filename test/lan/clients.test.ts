import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartClient } from './clients/client.ts';
import { containerd } from './clients/containerd.ts';
import { startBuildah, startPodman, startSkopeo } from './clients/containers-image.ts';
import { crane } from './clients/crane.ts';
import { startDockerBuild, startDockerd } from './clients/dockerd.ts';
import { pullFrom } from './clients/pull-from.ts';
import { inMidTransfer, since } from './counters.ts';
import { labTest, SECOND_REGISTRY, untilConnected } from './lab.ts';
import type { Space } from './network.ts';
import { GO } from './place.ts';
import { percent } from './pull.ts';
import { blobGets } from './registry.ts';

/** What TCP, HTTP and manifests may add to an image's bytes. */
const OVERHEAD = 1.03;

/** Slow enough for a fault to find its moment: the largest layer takes 5 s. Megabits a second. */
const RATE = 200;

/** How long upstream is away: longer than the agent waits for a byte before it asks anew. Milliseconds. */
const AWAY = 8_000;

interface Program {
  readonly name: string;
  readonly start: StartClient;
  readonly registries: readonly string[];
}

const BOTH = ['docker.io', SECOND_REGISTRY];
const PROGRAMS: readonly Program[] = [
  { name: 'dockerd', start: startDockerd, registries: ['docker.io'] },
  { name: 'docker build', start: startDockerBuild, registries: ['docker.io'] },
  { name: 'containerd 1.6', start: containerd({ bin: '/usr/bin' }), registries: BOTH },
  ...(GO === undefined ? [] : [{ name: 'containerd 2.4', start: containerd({ bin: GO }), registries: BOTH }]),
  { name: 'podman', start: startPodman, registries: BOTH },
  { name: 'buildah', start: startBuildah, registries: BOTH },
  { name: 'skopeo', start: startSkopeo, registries: BOTH },
  ...(GO === undefined ? [] : [{ name: 'crane', start: crane(GO), registries: BOTH }]),
];

for (const { name, start, registries } of PROGRAMS) {
  for (const registry of registries) {
    labTest(`${name}, ${registry}: cold, from a peer, and with upstream away in mid-layer`, async (lab) => {
      const { base, full } = lab.images;
      const [first, second] = [await lab.addMachine(), await lab.addMachine()];
      await Promise.all([first.agent.start(), second.agent.start()]);
      await untilConnected(first.agent, second.agent);
      const one = await lab.addClient(first, start);
      const other = await lab.addClient(second, start);

      const uplink = since(lab.network.upstream.counters.sent);
      await pullFrom(one, registry, base);
      const crossed = uplink();
      lab.note(`cold: ${percent(crossed, base.size)} of the image crossed the uplink`);
      assert.ok(crossed >= base.size && crossed <= base.size * OVERHEAD, `${crossed} bytes for ${base.size}`);

      const asked = (await lab.registry.requests()).length;
      await pullFrom(other, registry, base);
      assert.deepEqual(blobGets((await lab.registry.requests()).slice(asked)), [], 'from the peer alone');

      await lab.network.upstream.shape(RATE);
      const moved = since(lab.network.upstream.counters.sent);
      const transfer = pullFrom(one, registry, full);
      let back: Promise<void> | undefined;
      const fault = () => {
        back = awayFor(AWAY, lab.network.upstream);
      };
      const part = await inMidTransfer({ moved, size: full.largest.size, transfer, fault });
      await back;
      await transfer;
      lab.note(`upstream went away at ${percent(part, 1)} of the layer, for ${AWAY / 1000} s`);
    });
  }
}

async function awayFor(ms: number, upstream: Space): Promise<void> {
  await upstream.unplug();
  try {
    await sleep(ms);
  } finally {
    await upstream.plug();
  }
}
