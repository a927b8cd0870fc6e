import { z } from 'zod';
import { OTHER_REGISTRIES } from '../oci/reference.ts';
import { alsoHeld, isElsewhere } from './also.ts';
import { rateLimit, WINDOW_SHAPE } from './rate.ts';
import { registries, registryShape } from './registries.ts';
import { defaultStorePath, type Surroundings } from './surroundings.ts';
import { someoneIsBelieved, TAGS_SHAPE } from './tags.ts';
import {
  address,
  duration,
  filePath,
  hostName,
  keepingPatterns,
  mustBe,
  oneOrMore,
  proxy,
  section,
  size,
  sizeOrAuto,
  tcpMultiaddr,
} from './values.ts';

/** Rechecks may be rare, unlike what a timer waits for. Milliseconds: ten years. */
const LONGEST_RECHECK = 3650 * 86_400_000;

/** A peer that is silent for less than this is just busy. Milliseconds. */
const LEAST_STALL = 100;

/** A coordinator that is asked for less would never be in time. Milliseconds. */
const LEAST_LEASE = 10;

/** Below it the index alone could fill the store. */
const LEAST_STORE = '32MiB';

/** What `peers.bulk` may hold. */
const BULK_SHAPE = {
  /**
   * Multiaddrs on which peers open lanes.
   * @default [/ip4/0.0.0.0/tcp/4056]
   */
  listen: oneOrMore(tcpMultiaddr('/ip4/0.0.0.0/tcp/4056', { allowPeer: false })).default(['/ip4/0.0.0.0/tcp/4056']),
};

/** Every key of the configuration file, by section. The names are the product's interface. */
function shapes(around: Surroundings) {
  const path = filePath(around);

  return {
    mirror: {
      /**
       * Where registry clients reach the agent: one `host:port` or a list.
       * @default 127.0.0.1:5055
       */
      listen: oneOrMore(address()).default(['127.0.0.1:5055']),
      /**
       * Names under which clients may call the agent, beside localhost, its addresses and the names listened on.
       * @default []
       */
      allowedHosts: z.array(hostName(), mustBe('a list of host names')).default([]),
    },
    metrics: {
      /**
       * Where a scraper on another host reaches `/metrics` and `/healthz`, and nothing else: one `host:port` or a list.
       * @default null
       */
      listen: oneOrMore(address()).nullable().default(null),
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
      /**
       * What else the host holds, served without a copy: `{containerd: PATH}`, `{oci: DIRECTORY}`.
       * @default []
       */
      also: alsoHeld(around).default(() => []),
      /**
       * The most that blobs, partials and the index may take of the disk. Bytes here, null for `auto`: 20GiB, or a fifth
       * of the disk's capacity where that is less.
       * @default auto
       */
      maxSize: sizeOrAuto(LEAST_STORE).prefault('auto'),
      /**
       * What the store leaves free on its disk, whoever fills it. Bytes here.
       * @default 2GiB
       */
      minFree: size().prefault('2GiB'),
      /**
       * Repositories whose content is stored, as patterns of `registry/repository`; what comes from others passes through.
       * @default ["*"]
       */
      keep: keepingPatterns().default(() => ['*']),
      /**
       * Repositories whose content is not, whatever `keep` says.
       * @default []
       */
      skip: keepingPatterns().default(() => []),
    },
    peers: {
      /**
       * Multiaddrs on which other agents reach this one.
       * @default [/ip4/0.0.0.0/tcp/4055]
       */
      listen: oneOrMore(tcpMultiaddr('/ip4/0.0.0.0/tcp/4055', { allowPeer: false })).default(['/ip4/0.0.0.0/tcp/4055']),
      /**
       * Where peers open lanes for the bodies of chunks, on TLS connections of their own; null: these go by libp2p, in
       * both directions.
       * @default {listen: [/ip4/0.0.0.0/tcp/4056]}
       */
      bulk: z.strictObject(BULK_SHAPE, mustBe('a map with listen, or null')).nullable().prefault({}),
      /**
       * From where other agents may connect: private, link-local and unique local addresses, or any.
       * @default private
       */
      accept: z.enum(['private', 'any'], mustBe('private or any')).default('private'),
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
    upstream: {
      /**
       * The proxy between the agent and every registry. Without one the environment's HTTPS_PROXY, HTTP_PROXY and
       * NO_PROXY count.
       * @default null
       */
      proxy: proxy().nullable().default(null),
    },
  };
}

export function createSchema(around: Surroundings) {
  const { mirror, metrics, store, peers, release, limits, upstream } = shapes(around);
  const tree = z.strictObject(
    {
      mirror: section(mirror),
      metrics: section(metrics),
      store: section(store).superRefine(isElsewhere),
      peers: section(peers),
      release: section(release),
      limits: section(limits),
      upstream: section(upstream),
      registries: registries(around).prefault({}),
    },
    mustBe('a map of sections'),
  );
  // Not a refinement: those run on trees in which something is wrong, too.
  return tree.transform((value, context) => {
    someoneIsBelieved(value, context);
    return value;
  });
}

/** The keys that may stand at `path` of the configuration. */
export function keysAt(path: readonly PropertyKey[], around: Surroundings): string[] {
  const known = shapes(around);
  if (path.length === 0) return [...Object.keys(known), 'registries'];
  if (path[0] === 'registries') return registryKeysAt(path.slice(1), around);
  const [name] = path;
  if (name === 'peers' && path.length === 2) return path[1] === 'bulk' ? Object.keys(BULK_SHAPE) : [];
  if (name === 'limits' && path.length === 3) return Object.keys(WINDOW_SHAPE);
  return path.length === 1 && typeof name === 'string' && name in known
    ? Object.keys(known[name as keyof typeof known])
    : [];
}

/** The keys that may stand at `path` of `registries`. */
function registryKeysAt([name, section, ...rest]: readonly PropertyKey[], around: Surroundings): string[] {
  if (name === undefined) return ['only'];
  if (section === 'tags' && rest.length === 0) return Object.keys(TAGS_SHAPE);
  if (section !== undefined) return [];
  return Object.keys(registryShape(around)).filter(
    (key) => name !== OTHER_REGISTRIES || (key !== 'endpoints' && key !== 'credentials'),
  );
}
