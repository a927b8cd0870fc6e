import { setFlagsFromString } from 'node:v8';

/**
 * Counts buffers with the heap when V8 decides whether to collect. Chunks pass through the process as buffers outside
 * the heap, and by default each few MiB of them call for a full collection that finds next to nothing: measured at half
 * of the CPU that a GiB from a peer costs.
 */
export function countBuffersWithHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
