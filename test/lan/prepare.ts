/** Makes the images that the LAN tests pull, and leaves them in the upstream registry's directory. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startDockerDaemon } from './daemon.ts';
import { publishImages } from './image.ts';
import { createNetwork } from './network.ts';
import { LAB_DIR } from './place.ts';
import { startRegistry } from './registry.ts';

const started = performance.now();
const dir = join(LAB_DIR, 'b');
const network = await createNetwork();
try {
  const registry = await startRegistry({ space: network.upstream, dir, isWritable: true });
  const docker = await startDockerDaemon({ space: network.upstream, dir, log: join(dir, 'dockerd.log') });
  const { base, full } = await publishImages(docker);
  await docker.stop();
  await registry.stop();
  await rm(dir, { recursive: true });
  const mib = (size: number) => `${(size / 1024 / 1024).toFixed(1)} MiB`;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `test/lan: ${full.reference} has ${full.blobs.length - 1} layers, ${mib(full.size)}, the largest ${mib(full.largest.size)}; ` +
      `${base.reference} ${mib(base.size)} (made in ${seconds} s)`,
  );
} finally {
  await network.close();
}
