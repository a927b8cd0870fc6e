import { setFlagsFromString } from 'node:v8';

/**
 * How far heap and buffers grow before all of it is looked at again. By default a full collection comes for every few
 * MiB of chunks that pass through, and in a fleet took a fifth of all CPU; what is young is collected without it.
 */
const GROWTH = ['--external-memory-max-growing-factor=4', '--heap-growing-percent=300'];

/**
 * Counts buffers with the heap when V8 decides whether to collect. Chunks pass through the process as buffers outside
 * the heap, and by default each few MiB of them call for a full collection that finds next to nothing: measured at half
 * of the CPU that a GiB from a peer costs.
 */
export function countBuffersWithHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  for (const flag of GROWTH) setFlagsFromString(flag);
}
