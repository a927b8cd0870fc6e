import { z } from 'zod';

const bytes = z.number().nonnegative();

/** A peer as `layerlan peers` shows it. */
export const peerStatusSchema = z.object({
  /** null for a static address whose peer has not been met yet. */
  id: z.string().nullable(),
  addresses: z.array(z.string()),
  /** `connected`, `dialing`, `backing-off` or `banned`; a newer agent may know more. */
  state: z.string(),
  /** Blobs it tells us it holds; null while it is not connected. */
  blobs: z.number().nullable(),
  /** Whether the bodies of its chunks come by a bulk lane, or why not; null while it is not connected. */
  bulk: z.string().nullable(),
  /** Offences noted, those of earlier runs too while they still weigh anything. */
  strikes: z.number(),
});

/** A limit that is set; null where none is. Its rate is null outside its hours. Bytes a second. */
const limit = z.object({ rate: bytes.nullable() }).nullable();

/** What `/status` says. A schema, since the commands read it from whatever answers on that port. */
export const agentStatusSchema = z.object({
  version: z.string(),
  peerId: z.string(),
  uptimeSeconds: z.number(),
  mirror: z.object({
    addresses: z.array(z.string()),
    /** What it is to listen on and is not there yet; an older agent waits for none. */
    awaited: z.array(z.string()).default([]),
  }),
  store: z.object({
    path: z.string(),
    blobs: z.number(),
    /** Of the blobs. */
    bytes,
    /** What blobs, partials and index take of the disk, and what they may. */
    used: bytes,
    bound: bytes,
    /** `ok`, `full` or `failing`; a newer agent may know more. */
    state: z.string(),
    /** Since when, as ISO 8601 has it. */
    since: z.string(),
    /** null where nothing is wrong. */
    reason: z.string().nullable(),
    /** What else the host holds, where the configuration names any: `waiting` files are not hashed yet. */
    also: z.object({ blobs: z.number(), bytes, waiting: z.number() }).optional(),
  }),
  traffic: z.object({
    /** Body bytes that came from upstream registries. */
    upstreamBytes: bytes,
    /** Chunk bytes that came from peers and matched. */
    peerBytes: bytes,
    /** Chunk bytes sent to peers. */
    servedBytes: bytes,
    /** Body bytes sent to local clients, by where they came from. */
    clientBytes: z.object({ store: bytes, peer: bytes, upstream: bytes }),
    /** What the uplink was spared: client bytes from the store and from peers. */
    sparedBytes: bytes,
  }),
  /** What registries last said of how many requests they allow us in a window of so many seconds. */
  rateLimits: z.array(
    z.object({ registry: z.string(), limit: z.number(), remaining: z.number(), window: z.number().nullable() }),
  ),
  limits: z.object({ peerUpload: limit, peerDownload: limit, upstream: limit }),
  swarm: z.object({
    /** Multiaddrs where peers reach the agent. */
    addresses: z.array(z.string()),
    mdns: z.object({ enabled: z.boolean(), healthy: z.boolean().optional(), reason: z.string().optional() }),
    /** Whether peers can open bulk lanes to this agent, and why they cannot; an older agent does not say. */
    bulk: z.object({ enabled: z.boolean(), reason: z.string().optional() }).optional(),
    /** Peers connected. */
    neighbours: z.number(),
    /** Whether a network key keeps strangers out. */
    networkKey: z.boolean(),
  }),
  peers: z.array(peerStatusSchema),
});

export type PeerStatus = z.infer<typeof peerStatusSchema>;
export type AgentStatus = z.infer<typeof agentStatusSchema>;
