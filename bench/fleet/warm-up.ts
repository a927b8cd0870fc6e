import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageSpec } from './images.ts';
import type { FleetLab } from './lab.ts';
import { type PullOrder, pullAll } from './pullers.ts';

/**
 * Other images that every agent pulls, with the others, before a row begins: an agent is a daemon, and what a process
 * pays for its first pull, above all the compiling of its code, it pays once in weeks. They also come to know each other:
 * a peer's chunks are shown early only after so many that were right.
 */
const WARM_UPS = 4;

/** Until what a turn has pulled is known to the next: agents tell it within 50 ms. Milliseconds. */
const TOLD = 300;

/**
 * Has agents pull what is of no interest.
 * @param imageOf the image that follows from a seed
 * @param turns who pulls at once, one turn after the other; an order is an agent's, and its tags do not count
 * @param log of the pullers @param patience ms
 * @throws where a pull fails
 */
export async function warmUp(
  lab: FleetLab,
  label: string,
  imageOf: (seed: string) => ImageSpec,
  turns: readonly (readonly Omit<PullOrder, 'tags'>[])[],
  log: string,
  patience: number,
): Promise<void> {
  for (let round = 0; round < WARM_UPS; round++) {
    const { tag } = await lab.registry.publish(`${label}-warm-up-${round}`, imageOf(`${label} ${round}`));
    for (const orders of turns) {
      const ordered = orders.map((order) => ({ ...order, tags: [tag] }));
      const pulled = await pullAll(ordered, log, patience);
      if (pulled.some(({ ok }) => !ok)) throw new Error(`a warm-up failed: ${pulled.map(({ error }) => error)}`);
      await sleep(TOLD);
    }
  }
}
