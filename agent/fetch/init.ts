import type { Logger } from 'pino';
import type { Throttle } from '../limits/throttle.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Store, Swarm, Upstream } from './ports.ts';

/** What the fetch role works with. */
export interface FetchComponents {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly swarm: Swarm;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** The limit on what is taken from peers. @default none */
  readonly download?: Pick<Throttle, 'held'>;
}

/** How the fetch role is set. Milliseconds. */
export interface FetchInit {
  /** The longest a look-up for holders holds a pull once upstream could have started. @default 100 */
  readonly lookupTimeout: number;
  /** How long a blob's coordinator may take to answer a claim. @default 250 */
  readonly leaseTimeout: number;
  /** How long a client waits before it is shown what untrusted peers sent, chunk by chunk. @default 60_000 */
  readonly holdFor: number;
}
