import type { TakingMessage } from '../../../agent/fetch/rules/table.ts';
import type { Segment } from '../../../agent/fetch/rules/taking.ts';
import { bitmapOf, setBit } from '../../../protocol/bitmap.ts';
import type { Digest } from '../../../protocol/digest.ts';

export const DIGEST = `sha256:${'ab'.repeat(32)}` as Digest;

export const MiB = 1024 * 1024;

/** What an agent says of a blob of `count` chunks: the chunks it has with a mark, and its leases. */
export function said(
  count: number,
  have: readonly number[],
  leases: readonly Segment[] = [],
  received = have.length * MiB,
): TakingMessage {
  const marks = bitmapOf(count);
  for (const index of have) setBit(marks, index);
  return {
    type: 'taking',
    digest: DIGEST,
    size: count * MiB,
    marks,
    mapped: null,
    leases: leases.map(([from, to]): [number, number] => [from, to]),
    received,
  };
}
