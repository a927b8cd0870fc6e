import type { InspectedBlob, Inspection } from './ports.ts';

/** What was last checked longer ago is due for a check. Milliseconds (a week). */
export const CHECK_EVERY = 7 * 24 * 60 * 60 * 1000;

/** The held blobs that were last checked at `until` or before, the longest ago first; each once. */
export async function* checkedUntil(inspection: Inspection, until: number): AsyncGenerator<InspectedBlob, void> {
  let after: InspectedBlob | undefined;
  for (;;) {
    // One at a time: meanwhile others are checked as they are read, or go.
    const [next] = inspection.checkedUntil(until, after, 1);
    if (next === undefined) return;
    after = next;
    yield next;
  }
}
