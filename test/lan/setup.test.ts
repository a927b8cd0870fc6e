import assert from 'node:assert/strict';
import type { Agent } from './agent.ts';
import type { Client } from './clients/client.ts';
import { containerd } from './clients/containerd.ts';
import { startSystemPodman } from './clients/containers-image.ts';
import { systemDockerd } from './clients/dockerd.ts';
import { imageName, pullFrom } from './clients/pull-from.ts';
import type { Image } from './image.ts';
import { labTest, SECOND_REGISTRY } from './lab.ts';
import { giveOwnEtc } from './own-etc.ts';
import { GO } from './place.ts';
import { until } from './until.ts';

/** How long a daemon may take to go by its configuration after it was told to. Milliseconds. */
const RELOAD_TIMEOUT = 20_000;

/** As operators write it: nothing of it may change. */
const DAEMON_JSON = `{ "debug":true,
    "labels" : [ "rack=7" ] }`;
const HOSTS_TOML = `# Ours since 2023.\nserver = "https://registry-1.docker.io"\n`;

labTest('setup docker --write: a reload is enough, a restart finds it too, and --undo takes it back', async (lab) => {
  const { base } = lab.images;
  const machine = await lab.addMachine();
  const etc = await giveOwnEtc(machine, { '/etc/docker/daemon.json': DAEMON_JSON });
  await machine.agent.start();
  const docker = systemDockerd();
  const client = await lab.addClient(machine, docker.start);
  // Behind dockerd's start, which leaves a key of its own there.
  const before = await etc.fingerprint('/etc/docker');
  await pullFails(client, 'docker.io', base);

  await setup(machine.agent, 'docker', '--write');
  assert.notEqual(await etc.fingerprint('/etc/docker'), before);
  docker.reload();
  await until('dockerd knows its mirror', async () => (await docker.mirrors()).length === 1, {
    timeout: RELOAD_TIMEOUT,
  });
  await pullFrom(client, 'docker.io', base);
  await holds(machine.agent, base);
  await client.stop();
  const again = await lab.addClient(machine, docker.start);
  assert.deepEqual(await docker.mirrors(), ['http://127.0.0.1:5055/']);

  await setup(machine.agent, 'docker', '--undo');
  assert.equal(await etc.read('/etc/docker/daemon.json'), DAEMON_JSON);
  assert.equal(await etc.fingerprint('/etc/docker'), before);
  await again.stop();
  await lab.addClient(machine, docker.start);
  assert.deepEqual(await docker.mirrors(), []);
});

const program = containerd({ bin: GO ?? '/usr/bin', hosts: '/etc/containerd/certs.d' });
labTest('setup containerd --write: the next pull comes through the agent, and --undo takes it back', async (lab) => {
  const { base } = lab.images;
  const machine = await lab.addMachine();
  const etc = await giveOwnEtc(machine, { '/etc/containerd/certs.d/docker.io/hosts.toml': HOSTS_TOML });
  await machine.agent.start();
  const before = await etc.fingerprint('/etc/containerd');
  const client = await lab.addClient(machine, program);
  await pullFails(client, 'docker.io', base);

  await setup(machine.agent, 'containerd', '--write');
  assert.notEqual(await etc.fingerprint('/etc/containerd'), before);
  await throughAgent(machine.agent, client, base);

  await setup(machine.agent, 'containerd', '--undo');
  assert.equal(await etc.fingerprint('/etc/containerd'), before);
  await client.stop();
  const again = await lab.addClient(machine, program);
  await pullFails(again, 'docker.io', base);
});

labTest('setup podman --write: the next pull comes through the agent, and --undo takes it back', async (lab) => {
  const { base } = lab.images;
  const machine = await lab.addMachine();
  const etc = await giveOwnEtc(machine, {});
  await machine.agent.start();
  const before = await etc.fingerprint('/etc/containers');
  const client = await lab.addClient(machine, startSystemPodman);
  await pullFails(client, 'docker.io', base);

  await setup(machine.agent, 'podman', '--write');
  assert.notEqual(await etc.fingerprint('/etc/containers'), before);
  await throughAgent(machine.agent, client, base);

  await setup(machine.agent, 'podman', '--undo');
  assert.equal(await etc.fingerprint('/etc/containers'), before);
  await pullFails(client, 'docker.io', base);
});

async function setup(agent: Agent, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await agent.command('setup', ...args);
  assert.equal(code, 0, stderr + stdout);
}

/** Nobody but an agent leads to an image here. */
async function pullFails(client: Client, registry: string, image: Image): Promise<void> {
  const { code, stdout } = await client.pull(imageName(registry, image));
  assert.notEqual(code, 0, stdout);
}

/** Pulls an image from both registries, and proves by the agent's own count that it was asked each time. */
async function throughAgent(agent: Agent, client: Client, image: Image): Promise<void> {
  for (const registry of ['docker.io', SECOND_REGISTRY]) {
    const asked = await agent.metric('layerlan_tag_answers_total');
    await pullFrom(client, registry, image);
    assert.ok((await agent.metric('layerlan_tag_answers_total')) > asked, `${registry} did not go through the agent`);
  }
  await holds(agent, image);
}

async function holds(agent: Agent, image: Image): Promise<void> {
  const held = await agent.heldBlobs();
  for (const { digest } of image.blobs) assert.ok(held.includes(digest), `the agent does not hold ${digest}`);
}
