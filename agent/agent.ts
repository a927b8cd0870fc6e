import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from './config/load.ts';
import { shareOf, tagSettings } from './config/registries.ts';
import { openElsewhere, publishedTo } from './elsewhere.ts';
import { AgentError } from './errors.ts';
import { createContent } from './fetch/content.ts';
import type { Store, Swarm, Upstream } from './fetch/ports.ts';
import { createThrottle, type Throttle, UNLIMITED } from './limits/throttle.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import type { AgentStatus } from './observe/status.ts';
import { createKeeping } from './oci/keeping.ts';
import { OWNER_KEY_FILE } from './owner-key.ts';
import { readRegistries } from './registries.ts';
import { createAdmission } from './registry/admission.ts';
import { createMirror } from './registry/mirror.ts';
import { createScrape } from './registry/scrape.ts';
import { type DiskStore, openStore } from './store/index.ts';
import { createSwarm } from './swarm/create.ts';
import { parseNetworkKey } from './swarm/key.ts';
import { createImport } from './upkeep/import.ts';
import { createOwner } from './upkeep/owner.ts';
import { extendPins } from './upkeep/pinned.ts';
import { createPull } from './upkeep/pull.ts';
import { createUpkeep } from './upkeep/upkeep.ts';
import { createUpstream } from './upstream/client.ts';
import { createProxyRule } from './upstream/proxy-rule.ts';
import { VERSION } from './version.ts';

/** A running agent. */
export interface Agent {
  /** Where clients reach it, as `host:port`. */
  readonly mirror: readonly string[];
  readonly peerId: string;
  /** Multiaddrs where peers reach it. */
  readonly peerAddresses: readonly string[];
  readonly metrics: Metrics;
  status(): Promise<AgentStatus>;
  /** Lets requests run on for a while, then ends everything and lets go of the store. Never rejects. */
  stop(): Promise<void>;
}

export interface AgentComponents {
  readonly logger: Logger;
  /** Where a proxy may be named. @default the process's */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What stops when the agent stops, in the order in which it was started. */
type Closing = { readonly what: string; close(): Promise<void> };

/**
 * Composes an agent from its roles and starts it: the one place that knows them all.
 * @throws AgentError with an `exit` where the configuration or the machine does not allow it; nothing is left behind
 */
export async function startAgent(components: AgentComponents, config: Config): Promise<Agent> {
  const { logger } = components;
  const started: Closing[] = [];
  const stop = async () => {
    for (const { what, close } of started.splice(0).reverse()) {
      await close().catch((error) => logger.error({ err: error, what }, 'not closed cleanly'));
    }
  };
  try {
    return await compose(components, config, started, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function compose(
  { logger, env = process.env }: AgentComponents,
  config: Config,
  started: Closing[],
  stop: () => Promise<void>,
): Promise<Agent> {
  const since = Date.now();
  const metrics = createMetrics();
  const networkKey = await readNetworkKey(config.peers.networkKeyFile);
  const registries = await readRegistries(config.registries);
  const proxyFor = createProxyRule(config.upstream.proxy, env);

  const own = await openStore(
    { logger: logger.child({ role: 'store' }), metrics },
    {
      path: config.store.path,
      recheck: config.store.recheck,
      ...(config.store.maxSize !== null && { maxSize: config.store.maxSize }),
      minFree: config.store.minFree,
    },
  );
  started.push({ what: 'store', close: () => own.close() });
  const also = openElsewhere({ store: own, logger: logger.child({ role: 'store' }), metrics }, config);
  if (also !== undefined) started.push({ what: 'store.also', close: () => also.close() });
  const store = also?.store ?? own;

  const limits = {
    peerUpload: createThrottle(config.limits.peerUpload),
    peerDownload: createThrottle(config.limits.peerDownload),
    upstream: createThrottle(config.limits.upstream),
  };

  const upstream = createUpstream(
    { logger: logger.child({ role: 'upstream' }), metrics, throttle: limits.upstream },
    { registries, proxyFor },
  );
  started.push({ what: 'upstream', close: () => upstream.close() });

  const swarm = await createSwarm(
    {
      logger: logger.child({ role: 'swarm' }),
      metrics,
      holdings: store,
      upload: limits.peerUpload,
      download: limits.peerDownload,
    },
    {
      identityPath: join(config.store.path, 'identity.key'),
      datastorePath: join(config.store.path, 'swarm.sqlite'),
      bansPath: join(config.store.path, 'bans.json'),
      listen: config.peers.listen,
      bulk: config.peers.bulk?.listen ?? null,
      accept: config.peers.accept,
      mdns: config.peers.mdns,
      staticPeers: config.peers.static,
      networkKey,
      stallTimeout: config.peers.stallTimeout,
    },
  );
  started.push({ what: 'swarm', close: () => swarm.stop() });

  const ports: { store: Store; swarm: Swarm; upstream: Upstream } = { store, swarm, upstream };
  const keeps = createKeeping(config.store);
  const content = createContent(
    {
      ...ports,
      tags: store.tags,
      standings: store.standings,
      metrics,
      logger: logger.child({ role: 'fetch' }),
      download: limits.peerDownload,
      onManifest: (manifest) => extendPins(store, logger, manifest),
      published: also && publishedTo(also, config),
    },
    {
      lookupTimeout: config.peers.lookupTimeout,
      leaseTimeout: config.peers.leaseTimeout,
      holdFor: config.release.holdFor,
      tags: (registry) => tagSettings(config.registries, registry),
      share: (registry) => shareOf(config.registries, registry),
      keeps,
    },
  );
  started.push({ what: 'fetch', close: () => content.stop() });
  also?.hash(() => content.isFetching);

  const upkeep = createUpkeep({
    store,
    content,
    lan: swarm,
    admit: createAdmission(config.registries),
    logger: logger.child({ role: 'upkeep' }),
  });
  started.push({ what: 'upkeep', close: () => upkeep.stop() });

  const status = async (): Promise<AgentStatus> => ({
    version: VERSION,
    peerId: swarm.peerId,
    uptimeSeconds: Math.floor((Date.now() - since) / 1000),
    mirror: { addresses: [...mirror.addresses], awaited: [...mirror.awaited] },
    store: { path: config.store.path, ...own.totals(), ...storeStatus(own), ...(also && { also: also.totals() }) },
    traffic: await trafficOf(metrics),
    rateLimits: upstream.rateLimits(),
    limits: {
      peerUpload: limitOf(limits.peerUpload),
      peerDownload: limitOf(limits.peerDownload),
      upstream: limitOf(limits.upstream),
    },
    swarm: swarm.status(),
    peers: swarm.peers(),
  });
  // Pulls are served from upstream and peers whatever the store is: `ok` is the agent's, the store is told beside it.
  const health = () => {
    const { state, since, code } = own.state();
    return { ok: true, store: { state, since: new Date(since).toISOString(), code } };
  };
  const owner = await createOwner(join(config.store.path, OWNER_KEY_FILE));
  const commands = {
    ...upkeep.commands,
    pull: createPull({ content, store, keeps }),
    ...createImport({ content, store, owner }),
  };
  const mirror = createMirror(
    { logger: logger.child({ role: 'registry' }), metrics, content, status, health, commands },
    { registries: config.registries, allowedHosts: config.mirror.allowedHosts },
  );
  await mirror.listen(config.mirror.listen);
  started.push({ what: 'registry', close: () => mirror.close() });

  if (config.metrics.listen !== null) {
    const scrape = createScrape(
      { logger: logger.child({ role: 'metrics' }), metrics, health },
      { allowedHosts: config.mirror.allowedHosts },
    );
    started.push({ what: 'metrics', close: () => scrape.close() });
    await scrape.listen(config.metrics.listen);
  }

  if (networkKey === undefined) {
    logger.info('no network key: every agent on the LAN may take what this one holds (peers.networkKeyFile)');
  }

  return {
    mirror: mirror.addresses,
    peerId: swarm.peerId,
    peerAddresses: swarm.addresses,
    metrics,
    status,
    stop,
  };
}

const KEY_ADVICE = 'copy the fleet’s file, or make a key with `layerlan key FILE`';

/** @throws AgentError NETWORK_KEY_INVALID, which names the file and never shows what is in it */
async function readNetworkKey(file: string | null): Promise<Uint8Array | undefined> {
  if (file === null) return undefined;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new AgentError('NETWORK_KEY_INVALID', `cannot read peers.networkKeyFile ${file}: ${why}; ${KEY_ADVICE}`, {
      cause,
    });
  }
  try {
    return parseNetworkKey(text);
  } catch (cause) {
    const why = cause instanceof AgentError ? cause.message : 'not a key';
    throw new AgentError('NETWORK_KEY_INVALID', `peers.networkKeyFile ${file}: ${why}; ${KEY_ADVICE}`, { cause });
  }
}

function storeStatus(store: DiskStore): Pick<AgentStatus['store'], 'used' | 'bound' | 'state' | 'since' | 'reason'> {
  const { blobs, partials, leaving, rest, maxSize } = store.usage();
  const { state, since, reason } = store.state();
  const used = blobs + partials + leaving + rest;
  return { used, bound: maxSize, state, since: new Date(since).toISOString(), reason };
}

/** null where no limit is set. */
function limitOf(throttle: Throttle): { rate: number | null } | null {
  return throttle === UNLIMITED ? null : { rate: throttle.rate ?? null };
}

async function trafficOf(metrics: Metrics): Promise<AgentStatus['traffic']> {
  const total = async (counter: { get(): Promise<{ values: { value: number }[] }> }) =>
    (await counter.get()).values.reduce((sum, { value }) => sum + value, 0);
  const bySource = { store: 0, peer: 0, upstream: 0 };
  for (const { labels, value } of (await metrics.clientBytes.get()).values) {
    if (labels.source === 'store' || labels.source === 'peer' || labels.source === 'upstream') {
      bySource[labels.source] += value;
    }
  }
  return {
    upstreamBytes: await total(metrics.upstreamBytes),
    peerBytes: await total(metrics.peerBytes),
    servedBytes: await total(metrics.servedBytes),
    clientBytes: bySource,
    sparedBytes: bySource.store + bySource.peer,
  };
}
