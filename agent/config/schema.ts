import { z } from 'zod';
import { DEFAULT_REGISTRY, isRegistry } from '../oci/reference.ts';
import { credentials } from './credentials.ts';
import { rateLimit, WINDOW_SHAPE } from './rate.ts';
import { absolutePath, defaultStorePath, type Surroundings } from './surroundings.ts';
import { address, duration, endpoint, mustBe, oneOrMore, tcpMultiaddr } from './values.ts';

/** Docker Hub's registry is not at the name that its images go by. */
const DOCKER_HUB = 'https://registry-1.docker.io';

/** Rechecks may be rare, unlike what a timer waits for. Milliseconds: ten years. */
const LONGEST_RECHECK = 3650 * 86_400_000;

/** A peer that is silent for less than this is just busy. Milliseconds. */
const LEAST_STALL = 100;

/** A coordinator that is asked for less would never be in time. Milliseconds. */
const LEAST_LEASE = 10;

/** Every key of the configuration file, by section. The names are the product's interface. */
function shapes(around: Surroundings) {
  const path = z
    .string(mustBe('a path'))
    .min(1, mustBe('a path'))
    .transform((text) => absolutePath(text, around));

  return {
    mirror: {
      /**
       * Where registry clients reach the agent: one `host:port` or a list.
       * @default 127.0.0.1:5055
       */
      listen: oneOrMore(address()).default(['127.0.0.1:5055']),
    },
    store: {
      /**
       * All that an agent keeps lies here: identity, blobs, index, partials, bans.
       * @default /var/lib/layerlan as root, else $XDG_STATE_HOME/layerlan
       */
      path: path.default(defaultStorePath(around)),
      /**
       * How long a blob's last check stands, before it is checked again as it is read. Milliseconds here, a duration in
       * the file.
       * @default 24h
       */
      recheck: duration({ most: LONGEST_RECHECK }).prefault('24h'),
    },
    peers: {
      /**
       * Multiaddrs on which other agents reach this one.
       * @default [/ip4/0.0.0.0/tcp/4055]
       */
      listen: oneOrMore(tcpMultiaddr('/ip4/0.0.0.0/tcp/4055', { allowPeer: false })).default(['/ip4/0.0.0.0/tcp/4055']),
      /**
       * Whether to look for neighbours on the broadcast domain.
       * @default true
       */
      mdns: z.boolean(mustBe('true or false')).default(true),
      /**
       * Multiaddrs of peers beyond the broadcast domain.
       * @default []
       */
      static: z
        .array(tcpMultiaddr('/ip4/192.0.2.7/tcp/4055', { allowPeer: true }), mustBe('a list of multiaddrs'))
        .default([]),
      /**
       * File with a fleet's shared key; strangers cannot finish the handshake.
       * @default null
       */
      networkKeyFile: path.nullable().default(null),
      /**
       * How long a pull may wait for peers past the moment upstream could have started. Milliseconds here, a duration
       * in the file.
       * @default 100ms
       */
      lookupTimeout: duration().prefault('100ms'),
      /**
       * How long the peer that hands out a blob's leases may take to answer before the next is asked. Above a hundred
       * neighbours it is given a second at least. Milliseconds here, a duration in the file.
       * @default 250ms
       */
      leaseTimeout: duration({ least: LEAST_LEASE }).prefault('250ms'),
      /**
       * How long a peer may send nothing before what it was asked for is taken elsewhere. Milliseconds here, a duration
       * in the file.
       * @default 5s
       */
      stallTimeout: duration({ least: LEAST_STALL }).prefault('5s'),
    },
    release: {
      /**
       * How long a client waits for the whole of a blob that comes from peers to match, before it is given chunks that
       * matched the map. Milliseconds here, a duration in the file.
       * @default 60s
       */
      holdFor: duration().prefault('60s'),
    },
    limits: {
      /**
       * What chunks may be sent to peers. A rate in bytes a second, or windows by hours of the day; windows here.
       * @default null
       */
      peerUpload: rateLimit().prefault(null),
      /**
       * What chunks may be taken from peers.
       * @default null
       */
      peerDownload: rateLimit().prefault(null),
      /**
       * What of blobs may be taken from upstream registries.
       * @default null
       */
      upstream: rateLimit().prefault(null),
    },
  };
}

/** What one of `registries` may hold. */
function registryShape(around: Surroundings) {
  return {
    /**
     * Origins to try in turn; http:// is allowed where written.
     * @default https:// and its own name; for docker.io https://registry-1.docker.io
     */
    endpoints: oneOrMore(endpoint()).optional(),
    /**
     * Where the credentials come from that it is shown: any client of this host then pulls with them.
     * @default null
     */
    credentials: credentials(around).prefault(null),
  };
}

/**
 * What is special about registries, by name in lower case.
 * @default docker.io at https://registry-1.docker.io
 */
function registries(around: Surroundings) {
  const shape = registryShape(around);
  return (
    z
      .preprocess(orEmpty, z.record(z.string(), section(shape), mustBe('a map of registries')))
      .superRefine((value, context) => {
        for (const name of Object.keys(value)) {
          if (isRegistry(name)) continue;
          context.addIssue({ code: 'custom', path: [name], message: 'must be a registry’s host name' });
        }
      })
      // A Map, not an object: "constructor" is a host name too.
      .transform((value) => {
        const listed = Object.entries(value).map(([name, { endpoints, credentials }]) => {
          const lower = name.toLowerCase();
          return [lower, { endpoints: endpoints ?? [home(lower)], credentials }] as const;
        });
        return new Map([[DEFAULT_REGISTRY, { endpoints: [DOCKER_HUB], credentials: null }], ...listed]);
      })
  );
}

/** Where a registry is that nobody said it is elsewhere. */
function home(name: string): string {
  return name === DEFAULT_REGISTRY ? DOCKER_HUB : `https://${name}`;
}

export function createSchema(around: Surroundings) {
  const { mirror, store, peers, release, limits } = shapes(around);
  return z.strictObject(
    {
      mirror: section(mirror),
      store: section(store),
      peers: section(peers),
      release: section(release),
      limits: section(limits),
      registries: registries(around).prefault({}),
    },
    mustBe('a map of sections'),
  );
}

/** The keys that may stand at `path` of the configuration. */
export function keysAt(path: readonly PropertyKey[], around: Surroundings): string[] {
  const known = shapes(around);
  if (path.length === 0) return [...Object.keys(known), 'registries'];
  if (path[0] === 'registries') return path.length === 2 ? Object.keys(registryShape(around)) : [];
  const [name] = path;
  if (name === 'limits' && path.length === 3) return Object.keys(WINDOW_SHAPE);
  return path.length === 1 && typeof name === 'string' && name in known
    ? Object.keys(known[name as keyof typeof known])
    : [];
}

/** A section that is not there, or whose keys are all commented out, has its defaults. */
function section<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(orEmpty, z.strictObject(shape, mustBe('a map of keys'))).prefault({});
}

function orEmpty(value: unknown): unknown {
  return value ?? {};
}
