import type { Logger } from 'pino';
import type { Throttle } from '../limits/throttle.ts';
import type { Metrics } from '../observe/metrics.ts';
import { startAdvertiser } from './advertiser.ts';
import { openBans } from './bans.ts';
import { Bulk } from './bulk/bulk.ts';
import { openDatastore } from './datastore.ts';
import { forgetOwnRecords } from './dht.ts';
import { startDialler } from './dialler.ts';
import { createAttendance } from './fleet/attendance.ts';
import { createGater } from './gater.ts';
import { loadIdentity } from './identity.ts';
import { type SwarmInit, type SwarmSettings, settingsOf } from './init.ts';
import { createInventories } from './inventory/inventories.ts';
import { createRoster } from './inventory/roster.ts';
import { mdnsService, noisePrologue } from './key.ts';
import { createMdns } from './mdns.ts';
import { type Neighbours, trackNeighbours } from './neighbours.ts';
import { createNode, startNode } from './node.ts';
import type { Holdings } from './ports.ts';
import { createReputation } from './reputation.ts';
import { SENDER_PATIENCE, servePeers } from './server.ts';
import { createSigning } from './signing.ts';
import { createAcceptance } from './source.ts';
import { createStrikes } from './strikes.ts';
import { type LanSwarm, type SwarmParts, swarmOf } from './swarm.ts';
import { createTagAnswering } from './tags/answering.ts';
import { createTagAsking } from './tags/ask.ts';
import { Walks } from './walks.ts';

export interface SwarmComponents {
  readonly logger: Logger;
  readonly metrics: Pick<
    Metrics,
    | 'servedBytes'
    | 'laneBytes'
    | 'chunkBuffers'
    | 'strikes'
    | 'bans'
    | 'neighbours'
    | 'busyAnswers'
    | 'fleetMessages'
    | 'refusedConnections'
  >;
  readonly holdings: Holdings;
  /** Holds back the chunks sent to peers. @default no limit */
  readonly upload?: Throttle;
  /** Holds back the chunks taken from peers. @default no limit */
  readonly download?: Throttle;
  /** Wall clock in ms, for bans. @default Date.now */
  readonly now?: () => number;
}

const monotonic = (): number => performance.now();

/**
 * Joins the LAN: loads or makes the identity, listens, serves what `holdings` has and dials peers.
 * @throws AgentError STORE_UNWRITABLE, CONFIG_INVALID, ADDRESS_IN_USE, ADDRESS_UNUSABLE
 */
export async function createSwarm(components: SwarmComponents, init: SwarmInit): Promise<LanSwarm> {
  const settings = settingsOf(init);
  const parts = await compose(components, settings);
  const swarm = swarmOf(parts, settings);
  try {
    await start(components, settings, parts);
    return swarm;
  } catch (error) {
    await swarm.stop();
    throw error;
  }
}

/** Makes the parts and ties them together; nothing listens yet. */
async function compose(components: SwarmComponents, settings: SwarmSettings): Promise<SwarmParts> {
  const { logger, metrics, download } = components;
  const privateKey = await loadIdentity(settings.identityPath);
  const reputation = createReputation(components.now ?? Date.now);
  const bans = await openBans({ logger, reputation }, { path: settings.bansPath });
  const datastore = openDatastore(settings.datastorePath);
  const started: SwarmParts['started'] = {};
  // Discovery is part of the node, and the neighbours, whom it asks the fewer times the more there are, are the node's.
  let neighbours: Neighbours | undefined;
  const mdns = settings.mdns
    ? createMdns(
        {
          logger,
          neighbours: () => neighbours?.all.length ?? 0,
          onPeer: ({ id, multiaddrs }) => started.dialler?.discovered(id.toString(), multiaddrs),
        },
        { service: mdnsService(settings.networkKey) },
      )
    : undefined;
  const node = await createNode({
    privateKey,
    listen: settings.listen,
    prologue: noisePrologue(settings.networkKey),
    gater: createGater({ reputation, ...createAcceptance({ logger, metrics }, settings.accept) }),
    datastore,
    dht: settings.dht,
    discovery: mdns === undefined ? [] : [mdns.discovery],
  }).catch((error: unknown) => {
    datastore.close();
    throw error;
  });
  const roster = createRoster(components.holdings);
  const attendance = createAttendance();
  const told = metrics.fleetMessages.labels('sent');
  const { stallTimeout } = settings;
  const isNeighbour = (peer: string) => neighbours?.get(peer) !== undefined;
  const bulk =
    settings.bulk === null
      ? undefined
      : new Bulk(
          { logger, metrics, download, isNeighbour },
          { listen: settings.bulk, stallTimeout, senderPatience: SENDER_PATIENCE },
        );
  neighbours = trackNeighbours(
    {
      node,
      bulk,
      roster,
      logger,
      gauge: metrics.neighbours,
      download,
      onGarbage: (peer) => strikes.strike(peer, 'garbage'),
      onConnect: ({ id, address }) => {
        started.advertiser?.wake();
        if (settings.dht) walks.scout();
        if (!strikes.isBanned(id)) attendance.came({ peer: id, address });
      },
      onDisconnect: (id) => attendance.left(id),
      now: monotonic,
    },
    { stallTimeout },
  );
  const strikes = createStrikes({ reputation, neighbours, logger, metrics, onStrike: () => bans.changed() });
  const inventories = createInventories();
  const walks = new Walks({ node, now: monotonic, isKnown: (peer) => isNeighbour(peer) || strikes.isBanned(peer) });
  const ending = new AbortController();
  return {
    node,
    datastore,
    reputation,
    bans,
    neighbours,
    bulk,
    inventories,
    walks,
    attendance,
    tags: createTagAnswering(monotonic),
    askTag: createTagAsking(monotonic),
    signing: createSigning(privateKey),
    onTold: () => told.inc(),
    roster,
    strikes,
    mdns,
    ending,
    started,
  };
}

/** Listens, then looks for peers: who is met finds everything served. */
async function start(components: SwarmComponents, settings: SwarmSettings, parts: SwarmParts): Promise<void> {
  const { logger, metrics, holdings, upload } = components;
  const { node, datastore, neighbours, bulk, inventories, attendance, tags, strikes, mdns, ending, started } = parts;
  const { staticPeers, redialMin, redialMax, stallTimeout, listen, dht, advertiseCalm } = settings;
  await servePeers(
    {
      node,
      holdings,
      inventories,
      attendance,
      tags,
      logger,
      metrics,
      upload,
      lanes: bulk?.holders,
      onGarbage: (peer) => strikes.strike(peer, 'garbage'),
      isBanned: strikes.isBanned,
      now: monotonic,
    },
    { stallTimeout, signal: ending.signal },
  );
  await forgetOwnRecords(datastore, node.peerId.toString());
  await bulk?.start();
  await startNode(node, listen);
  started.dialler = startDialler(
    {
      node,
      logger,
      now: monotonic,
      isConnected: (peer) => neighbours.get(peer) !== undefined,
      isBanned: strikes.isBanned,
    },
    { staticPeers, redialMin, redialMax, dialTimeout: 2 * stallTimeout },
  );
  mdns?.start();
  if (dht) {
    const hasNeighbours = (): boolean => neighbours.all.length > 0;
    started.advertiser = startAdvertiser({ node, holdings, logger, hasNeighbours }, advertiseCalm);
  }
}
