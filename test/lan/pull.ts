import assert from 'node:assert/strict';
import type { Image } from './image.ts';
import type { Host } from './lab.ts';

/** What dockerd logs where a body broke, or where it leaves the mirror for Docker Hub. */
const COMPLAINT = /Download failed|Attempting next endpoint|Not continuing with pull|returned error/;

/** `docker pull` that has to succeed with the right image id. @returns how long it took, in seconds */
export async function pullRight(host: Host, image: Image, reference = image.reference): Promise<number> {
  const started = performance.now();
  const { code, stdout, stderr } = await host.docker.pull(reference);
  const took = (performance.now() - started) / 1000;
  assert.equal(code, 0, `docker pull ${reference} on ${host.space.name}: ${stderr}\n${stdout}`);
  assert.equal(await host.docker.imageId(reference), image.id);
  return took;
}

/** Lines in which dockerd complains of its mirror. */
export async function complaints(host: Host): Promise<string[]> {
  return (await host.docker.log()).split('\n').filter((line) => COMPLAINT.test(line));
}

/** `bytes` as a part of another number of bytes. */
export function percent(bytes: number, of: number): string {
  return `${((100 * bytes) / of).toFixed(2)} %`;
}
