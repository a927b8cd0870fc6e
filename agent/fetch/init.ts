import type { Logger } from 'pino';
import type { Throttle } from '../limits/throttle.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Repository } from '../oci/reference.ts';
import type { Store, Swarm, Upstream } from './ports.ts';
import type { StandingRecords } from './privacy/ports.ts';
import type { Share } from './privacy/standing.ts';
import type { Published } from './published.ts';
import type { TagSettings } from './tags/freshness.ts';
import type { TagRecords } from './tags/ports.ts';
import type { VerifiedManifest } from './verified-manifest.ts';

/** What the fetch role works with. */
export interface FetchComponents {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly swarm: Swarm;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** The limit on what is taken from peers. @default none */
  readonly download?: Pick<Throttle, 'held'>;
  /** Whether peers have no part in what is taken, and none in what is kept of it. @default false */
  readonly isAlone?: boolean;
  /** Told what upstream names, and of manifests that pass by. @default nobody */
  readonly published?: Published | undefined;
}

/** What content by name takes beside. */
export interface ContentComponents extends FetchComponents {
  /** What is remembered of tags. */
  readonly tags: TagRecords;
  /** What is remembered of repositories: whether they are public. @default nothing over a restart */
  readonly standings?: StandingRecords;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  /** Told of each manifest before it is given to who asked for it. May not throw. */
  readonly onManifest?: (manifest: VerifiedManifest) => void;
}

/** How the fetch role is set. Times are milliseconds. */
export interface FetchInit {
  /** The longest a look-up for holders holds a pull once upstream could have started. @default 100 */
  readonly lookupTimeout: number;
  /** How long a blob's coordinator may take to answer a claim. @default 250 */
  readonly leaseTimeout: number;
  /** How long a client waits before it is shown what untrusted peers sent, chunk by chunk. @default 60_000 */
  readonly holdFor: number;
  /** How a registry's tags are treated. */
  readonly tags: (registry: string) => TagSettings;
  /** What of a registry peers may have. @default public */
  readonly share?: (registry: string) => Share;
  /** Whether what comes from a repository is stored; else it only passes through. @default everything is */
  readonly keeps?: (repository: Repository) => boolean;
}
