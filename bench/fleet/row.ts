import type { Fault } from '../../test/support/upstream-faults.ts';
import type { HostileBehaviour, ShutOut } from './hostile.ts';
import type { ImageSpec } from './images.ts';
import type { Stage } from './stage.ts';

/** Something goes wrong while the pulls run; it has to be over by 80% of the bytes. */
export type FaultFunction = (stage: Stage) => Promise<void>;

/** What a row must reach. `t` is T ÷ T₁, `over` is T − T₁ in seconds, `first` is how much later the first byte came. */
export interface Bounds {
  readonly k?: number;
  readonly t?: number;
  readonly over?: number;
  /** Milliseconds. */
  readonly first?: number;
  /** T ÷ the warm pull-through cache's, and below it in any case. */
  readonly ofCache?: number;
  /** Of what one plain TCP stream reaches over the taker's link. */
  readonly ofStream?: number;
  /** Whoever asked a liar for some chunks has shut it out in the end. */
  readonly shutOut?: true;
}

/** A case of the table. Hosts are counted from 0. */
export interface Row {
  readonly name: string;
  readonly title: string;
  /** @default 8 */
  readonly hosts?: number;
  /** Rate of the uplink, both directions. Megabits a second. @default 100 */
  readonly uplink?: number;
  /** Rate of the last host's link. Megabits a second. @default a gigabit, as all have; its time does not count then */
  readonly slowLink?: number;
  /** @default the image of 163 MiB */
  readonly images?: (seed: string) => readonly ImageSpec[];
  /** Which of the images a host pulls. @default 0 */
  readonly wants?: (host: number) => number;
  /** How long after the first a host starts. Milliseconds. @default 0 */
  readonly delay?: (host: number) => number;
  /** The first so many hosts have pulled before. @default 0 */
  readonly holders?: number;
  /** Whether chunks may come by bulk lanes. @default true */
  readonly lanes?: boolean;
  /** How upstream misbehaves while agents pull. A direct pull beside it meets a well one, for T₁ and k. */
  readonly upstream?: readonly Fault[];
  /** What runs on the last hosts in place of agents, one each. */
  readonly hostile?: readonly HostileBehaviour[];
  /** The hostile host ranks highest for the largest layer. */
  readonly hostileCoordinates?: true;
  readonly fault?: FaultFunction;
  /** @default none */
  readonly rivals?: 'cold' | 'warm' | 'stream';
  /** How long the pulls may take. Seconds. @default 300 */
  readonly patience?: number;
  readonly bounds: Bounds;
}

export const DEFAULT_UPLINK = 100;
export const DEFAULT_HOSTS = 8;
export const DEFAULT_PATIENCE = 300;

/** What one attempt at a row with agents came to. Infinite where a pull did not end well. */
export interface Figures {
  /** Pulls that count, and those of them that brought every byte. */
  readonly pulls: number;
  readonly good: number;
  readonly errors: readonly string[];
  /** Of the uplink's bytes ÷ the direct pull's. */
  readonly k: number;
  /** Seconds. */
  readonly t: number;
  /** T ÷ T₁. */
  readonly ratio: number;
  /** The lone or slowest first byte less the direct pull's. Milliseconds. */
  readonly firstLater: number;
  /** CPU-seconds of all agents a GiB handed to pullers. */
  readonly cpuPerGib: number;
  /** CPU-seconds of each agent, by host. */
  readonly cpu: readonly number[];
  /** The largest agent's. Bytes. */
  readonly rss: number;
  /** Bodies that ended short and were taken up again. */
  readonly resumed: number;
  /** Where the fault began and ended: parts of the direct pull's bytes. */
  readonly fault?: { readonly from: number; readonly to: number };
  /** Bytes each host's link had from upstream. */
  readonly fromUpstream: readonly number[];
  /** Blobs in honest stores that are not what they are called. */
  readonly falseBlobs: number;
  readonly shutOut?: ShutOut;
  /** Chunks that each hostile host was asked for. */
  readonly liarsAsked?: readonly number[];
}

/** The direct pull and the rivals of one run. Seconds and bytes; undefined where the row needs none. */
export interface Yardsticks {
  readonly t1: number;
  readonly bytes: number;
  readonly firstByteMs: number;
  /** A direct pull under the row's upstream faults. Seconds. */
  readonly t1Faulty?: number;
  readonly direct?: { readonly k: number; readonly t: number };
  /** Its CPU-seconds are those of the cache for what all were handed, a GiB. */
  readonly cache?: { readonly k: number; readonly t: number; readonly cpuPerGib: number };
  /** Bytes a second. */
  readonly stream?: number;
  /** Bytes a taker wants. */
  readonly size: number;
}

/** The fault came outside 20% to 80% of the bytes: the attempt does not count. */
export class MissedWindowError extends Error {}
