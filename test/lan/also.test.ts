import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { AgentStatus } from '../../agent/observe/status.ts';
import { containerd } from './clients/containerd.ts';
import { labTest, untilConnected } from './lab.ts';
import { GO } from './place.ts';
import { blobGets } from './registry.ts';
import { until } from './until.ts';

labTest('what containerd holds is given to the LAN from there, by an agent that stores nothing itself', async (lab) => {
  const { base } = lab.images;
  const bin = GO ?? '/usr/bin';
  const first = await lab.addMachine({
    store: (dir) => ({ also: [{ containerd: join(dir, 'root'), share: 'all' }], skip: ['docker.io/*'] }),
  });
  const second = await lab.addMachine();
  await Promise.all([first.agent.start(), second.agent.start()]);
  await untilConnected(first.agent, second.agent);
  const [repository, tag] = base.reference.split(':') as [string, string];
  const name = { registry: 'docker.io', repository: `library/${repository}`, tag };

  const one = await lab.addClient(first, containerd({ bin }));
  assert.equal((await one.pull(name)).code, 0);
  const held = async () => (await first.agent.status()).store as AgentStatus['store'];
  await until(
    'containerd’s blobs are hashed',
    async () => {
      const { also } = await held();
      return also !== undefined && also.waiting === 0 && also.blobs >= base.blobs.length;
    },
    { timeout: 60_000 },
  );
  assert.equal((await held()).blobs, 0, 'nothing was stored twice');

  const asked = (await lab.registry.requests()).length;
  const other = await lab.addClient(second, containerd({ bin }));
  const { code, stderr } = await other.pull(name);
  assert.equal(code, 0, stderr);
  assert.equal(await other.imageId(name), base.id);
  assert.deepEqual(blobGets((await lab.registry.requests()).slice(asked)), [], 'from the peer alone');
  lab.note(`${(await held()).also?.blobs} blobs of containerd’s are held`);
});
