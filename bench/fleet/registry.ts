import { fileURLToPath } from 'node:url';
import type { Digest } from '../../protocol/digest.ts';
import type { Space } from '../../test/lan/network.ts';
import { UPSTREAM_ADDRESS } from '../../test/lan/network.ts';
import type { Fault } from '../../test/support/upstream-faults.ts';
import type { ImageSpec, LayerSpec } from './images.ts';
import { startTalker } from './talker.ts';

const PROGRAM = fileURLToPath(new URL('../programs/fleet-registry.ts', import.meta.url));

/** docker.io's `library/`, as a mirror's path has it. */
export const REPOSITORY = 'library/fleet';

/** The registry's port in its namespace. */
const PORT = 5000;

export interface Published {
  readonly tag: string;
  readonly manifest: { readonly digest: Digest; readonly size: number };
  readonly config: { readonly digest: Digest; readonly size: number };
  readonly layers: readonly { readonly digest: Digest; readonly size: number }[];
  readonly spec: readonly LayerSpec[];
}

/** Upstream: it serves fast and costs little, and misbehaves when told to. */
export interface FleetRegistry {
  readonly url: string;
  publish(tag: string, image: ImageSpec): Promise<Published>;
  /** These faults from now on, and no others. */
  misbehave(faults: readonly Fault[]): Promise<void>;
  close(): Promise<void>;
}

export async function startFleetRegistry(space: Space, log: string): Promise<FleetRegistry> {
  const talker = startTalker([...space.enter, process.execPath, PROGRAM, '0.0.0.0', String(PORT)], log);
  await talker.hear();
  return {
    url: `http://${UPSTREAM_ADDRESS}:${PORT}`,
    async publish(tag, image) {
      talker.say({ image: { repository: REPOSITORY, tag, layers: image } });
      return { tag, spec: image, ...(await talker.hear<Omit<Published, 'tag' | 'spec'>>()) };
    },
    async misbehave(faults) {
      talker.say({ faults });
      await talker.hear();
    },
    close: () => talker.end(),
  };
}

/** Every blob and manifest of these images once: what has to cross the uplink. Bytes. */
export function distinctBytes(images: readonly Published[]): number {
  const sizes = new Map<string, number>();
  for (const { manifest, config, layers } of images)
    for (const { digest, size } of [manifest, config, ...layers]) sizes.set(digest, size);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** The largest layer: the one whose coordinator matters most. */
export function largestLayer(image: Published): Digest {
  return image.layers.reduce((one, other) => (other.size > one.size ? other : one)).digest;
}
