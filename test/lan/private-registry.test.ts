import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from '../support/certificates.ts';
import type { RegistrySettings } from './agent.ts';
import { startSkopeo } from './clients/containers-image.ts';
import { startDockerd } from './clients/dockerd.ts';
import { imageName, pullFrom } from './clients/pull-from.ts';
import { since } from './counters.ts';
import { labTest, SECOND_REGISTRY, untilConnected } from './lab.ts';
import { UPSTREAM_ADDRESS } from './network.ts';
import { LAB_DIR } from './place.ts';
import { percent } from './pull.ts';
import { blobGets } from './registry.ts';

const USER = 'lan';
const PASSWORD = 'correct horse';
/** bcrypt of {@link PASSWORD}, as `htpasswd -B` makes it: the registry takes no other. */
const HTPASSWD = `${USER}:$2y$05$layerlanlayerlanlayerOb984QB5aGDshIPAHxlJzKoYmAIt6WP.`;

/** What TLS, TCP, HTTP and manifests may add to an image's bytes. */
const OVERHEAD = 1.03;

labTest('a registry with its own CA and a password: clients need neither, and strangers get nothing', async (lab) => {
  const { base } = lab.images;
  const authority = createAuthority();
  const registry = await lab.addLockedRegistry({ ...authority.issue(UPSTREAM_ADDRESS), htpasswd: HTPASSWD });
  const [ca, passwordFile] = [join(LAB_DIR, 'ca.pem'), join(LAB_DIR, 'password')];
  await writeFile(ca, authority.cert);
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  const open: RegistrySettings = { endpoints: [registry.url], ca };
  const known = { ...open, credentials: { username: USER, passwordFile } };
  const trusted = await lab.addMachine({ registries: { 'docker.io': known, [SECOND_REGISTRY]: known } });
  const stranger = await lab.addMachine({ registries: { 'docker.io': open, [SECOND_REGISTRY]: open } });
  await Promise.all([trusted.agent.start(), stranger.agent.start()]);
  await untilConnected(trusted.agent, stranger.agent);

  const client = await lab.addClient(trusted, startDockerd);
  const uplink = since(lab.network.upstream.counters.sent);
  await pullFrom(client, 'docker.io', base);
  const crossed = uplink();
  lab.note(`${percent(crossed, base.size)} of the image crossed the uplink`);
  assert.ok(crossed >= base.size && crossed <= base.size * OVERHEAD, `${crossed} bytes for ${base.size}`);
  const asked = (await registry.requests()).length;
  await pullFrom(await lab.addClient(trusted, startSkopeo), SECOND_REGISTRY, base);
  const again = blobGets((await registry.requests()).slice(asked));
  assert.deepEqual(again, [], 'a blob was fetched twice');

  const refused = await lab.addClient(stranger, startDockerd);
  const { code, stdout } = await refused.pull(imageName('docker.io', base));
  assert.notEqual(code, 0, stdout);
  for (const path of [`manifests/${base.digest}`, `blobs/${base.largest.digest}`]) {
    const { status, body } = await stranger.agent.ask(`/v2/library/lan/${path}`);
    assert.equal(status, 403, body);
    assert.equal(JSON.parse(body).errors[0].code, 'DENIED');
  }
  assert.equal(await trusted.agent.metric('layerlan_served_bytes_total'), 0);
  assert.deepEqual(await stranger.agent.heldBlobs(), []);
});
