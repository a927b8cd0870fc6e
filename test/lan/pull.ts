import assert from 'node:assert/strict';
import type { Image } from './image.ts';
import type { Host } from './lab.ts';

/** What dockerd logs where a body broke, or where it leaves the mirror for Docker Hub. */
const COMPLAINT = /Download failed|Attempting next endpoint|Not continuing with pull|returned error/;

export interface PullInit {
  /** What to pull it by. @default the image's own name */
  readonly reference?: string;
  /** Whether a body may end short, which dockerd resumes after five seconds. @default false */
  readonly mayEndShort?: boolean;
}

/** `docker pull` that has to succeed, without a complaint and with the right image id. @returns how long it took, in seconds */
export async function pullRight(host: Host, image: Image, init: PullInit = {}): Promise<number> {
  const { reference = image.reference, mayEndShort = false } = init;
  const before = (await complaints(host)).length;
  const started = performance.now();
  const { code, stdout, stderr } = await host.docker.pull(reference);
  const took = (performance.now() - started) / 1000;
  assert.equal(code, 0, `docker pull ${reference} on ${host.space.name}: ${stderr}\n${stdout}`);
  assert.equal(await host.docker.imageId(reference), image.id);
  const heard = (await complaints(host)).slice(before);
  if (!mayEndShort) assert.deepEqual(heard, [], `dockerd of ${host.space.name} complains of its mirror`);
  return took;
}

/** Lines in which dockerd complains of its mirror. */
async function complaints(host: Host): Promise<string[]> {
  return (await host.docker.log()).split('\n').filter((line) => COMPLAINT.test(line));
}

/** `bytes` as a part of another number of bytes. */
export function percent(bytes: number, of: number): string {
  return `${((100 * bytes) / of).toFixed(2)} %`;
}
