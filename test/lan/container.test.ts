import assert from 'node:assert/strict';
import { readlink } from 'node:fs/promises';
import { startDockerInDocker } from './clients/docker-in-docker.ts';
import { since } from './counters.ts';
import { labTest } from './lab.ts';
import { percent } from './pull.ts';
import { until } from './until.ts';

/** What TCP, HTTP and manifests may add to an image's bytes. */
const OVERHEAD = 1.03;

/** The address of docker0: the gateway of every container on it. */
const GATEWAY = '172.29.0.1';
const NAME = 'host.docker.internal';
const STRANGER = 'rebound.test';
const PORT = 5055;

labTest('Docker-in-Docker, on a network of its own, pulls through the agent at the gateway', async (lab) => {
  const { base, full } = lab.images;
  // As at boot: the agent is there before the bridge is.
  const machine = await lab.addMachine({
    mirror: { listen: [`${GATEWAY}:${PORT}`, `127.0.0.1:${PORT}`], allowedHosts: [NAME] },
  });
  const { agent } = machine;
  await agent.start();
  const [own, gateway] = [`127.0.0.1:${PORT}`, `${GATEWAY}:${PORT}`];
  assert.deepEqual((await agent.status()).mirror, { addresses: [own], awaited: [gateway] });
  const host = await lab.addDocker(machine, { bridge: `${GATEWAY}/24` });
  const isThere = async () => {
    const { addresses } = (await agent.status()).mirror as { addresses: string[] };
    return addresses.includes(gateway);
  };
  await until('the agent listens on the bridge', isThere, { timeout: 30_000 });
  assert.deepEqual((await agent.status()).mirror, { addresses: [gateway, own], awaited: [] });
  const inner = await startDockerInDocker({
    docker: host.docker,
    dir: host.dir,
    mirror: `${GATEWAY}:${PORT}`,
    insecure: [`${NAME}:${PORT}`, `${STRANGER}:${PORT}`],
    names: [NAME, STRANGER],
  });
  const docker = (...args: string[]) => inner.command('/usr/bin/docker', ...args);
  const imageId = async (name: string) => (await docker('image', 'inspect', '--format', '{{.Id}}', name)).trim();
  const networks = await Promise.all([
    inner.command('readlink', '/proc/self/ns/net'),
    readlink(`/proc/${host.agent.process.pid}/ns/net`),
  ]);
  assert.notEqual(networks[0].trim(), networks[1], 'the container is on the host’s network');

  const uplink = since(lab.network.upstream.counters.sent);
  await docker('pull', base.reference);
  const crossed = uplink();
  assert.equal(await imageId(base.reference), base.id);
  lab.note(`${percent(crossed, base.size)} of the image crossed the uplink`);
  assert.ok(crossed >= base.size && crossed <= base.size * OVERHEAD, `${crossed} bytes for ${base.size}`);
  const held = await host.agent.heldBlobs();
  for (const { digest } of base.blobs) assert.ok(held.includes(digest), `the agent does not hold ${digest}`);

  const byName = `${NAME}:${PORT}/docker.io/library/${full.reference}`;
  await docker('pull', byName);
  assert.equal(await imageId(byName), full.id);

  // The same address by a name that nobody has allowed, as a web page's would be.
  await assert.rejects(docker('pull', `${STRANGER}:${PORT}/docker.io/library/${full.reference}`), /denied|403/i);
});
