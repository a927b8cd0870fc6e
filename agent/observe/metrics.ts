import { Counter, Gauge, Registry } from 'prom-client';

/** Everything the agent counts, by the names a scraper sees. One instance an agent: several agents may share a process. */
export interface Metrics {
  readonly registry: Registry;
  /** Body bytes that came from upstream registries. */
  readonly upstreamBytes: Counter;
  /** Chunk bytes that came from peers and matched. */
  readonly peerBytes: Counter;
  /** Chunk bytes sent to peers. */
  readonly servedBytes: Counter;
  /** Those of the chunk bytes sent to peers and had of them that went by bulk lanes. Labels: direction = sent | received */
  readonly laneBytes: Counter<'direction'>;
  /** Buffers for chunks that were made, there being none to be used again. Labels: direction = sent | received */
  readonly chunkBuffers: Counter<'direction'>;
  /** Chunk requests of peers that were answered "busy". */
  readonly busyAnswers: Counter;
  /** Messages of agents that take a blob together. Labels: direction = sent | received */
  readonly fleetMessages: Counter<'direction'>;
  /** Body bytes sent to local clients. Labels: source = store | peer | upstream */
  readonly clientBytes: Counter<'source'>;
  /**
   * Answers to clients on what a tag is. Labels: answer = fresh (remembered) | checked (upstream was asked) | stale
   * (remembered, since upstream could not be asked) | peer (a peer's word)
   */
  readonly tagAnswers: Counter<'answer'>;
  /** Chunks that did not match. Labels: source = peer | store */
  readonly refusedChunks: Counter<'source'>;
  /** Strikes against peers. Labels: offence */
  readonly strikes: Counter<'offence'>;
  /** Peers shut out. */
  readonly bans: Counter;
  /** Connections of peers from where none are taken. */
  readonly refusedConnections: Counter;
  /** Requests that a registry allows us in its window, as it last said. Labels: registry */
  readonly upstreamRateLimit: Gauge<'registry'>;
  /** Those that are left of them. Labels: registry */
  readonly upstreamRateRemaining: Gauge<'registry'>;
  readonly blobs: Gauge;
  readonly storedBytes: Gauge;
  /** Bytes of the disk that the store takes: blobs, partials and index. */
  readonly storeUsedBytes: Gauge;
  /** What it may take at most. */
  readonly storeBoundBytes: Gauge;
  /** 1 for what the store is, else 0. Labels: state = ok | full | failing */
  readonly storeState: Gauge<'state'>;
  /** Blobs that made room for others. */
  readonly evictedBlobs: Counter;
  /** Bytes of the disk that they and partials nobody fetched made free. */
  readonly evictedBytes: Counter;
  readonly neighbours: Gauge;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends string = never>(name: string, help: string, labelNames: L[] = []) =>
    new Counter<L>({ name: `layerlan_${name}`, help, labelNames, registers });
  const gauge = <L extends string = never>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge<L>({ name: `layerlan_${name}`, help, labelNames, registers });
  return {
    registry,
    upstreamBytes: counter('upstream_bytes_total', 'Body bytes that came from upstream registries'),
    peerBytes: counter('peer_bytes_total', 'Chunk bytes that came from peers and matched'),
    servedBytes: counter('served_bytes_total', 'Chunk bytes sent to peers'),
    laneBytes: counter('lane_bytes_total', 'Chunk bytes to and from peers that went by bulk lanes', ['direction']),
    chunkBuffers: counter('chunk_buffers_total', 'Buffers for chunks that were made, none being free', ['direction']),
    busyAnswers: counter('busy_answers_total', 'Chunk requests of peers that were answered "busy"'),
    fleetMessages: counter('fleet_messages_total', 'Messages of agents that take a blob together', ['direction']),
    clientBytes: counter('client_bytes_total', 'Body bytes sent to local clients, by where they came from', ['source']),
    tagAnswers: counter('tag_answers_total', 'Answers on what a tag is: fresh, checked upstream, stale, or a peer’s', [
      'answer',
    ]),
    refusedChunks: counter('refused_chunks_total', 'Chunks that did not match their hash', ['source']),
    strikes: counter('strikes_total', 'Offences noted against peers', ['offence']),
    bans: counter('bans_total', 'Peers shut out for what they did'),
    refusedConnections: counter('refused_connections_total', 'Connections of peers from where none are taken'),
    upstreamRateLimit: gauge('upstream_rate_limit', 'Requests a registry allows us in its window', ['registry']),
    upstreamRateRemaining: gauge('upstream_rate_remaining', 'Requests a registry has left for us', ['registry']),
    blobs: gauge('blobs', 'Blobs held'),
    storedBytes: gauge('stored_bytes', 'Bytes of the blobs held'),
    storeUsedBytes: gauge('store_used_bytes', 'Bytes of the disk that the store takes: blobs, partials and index'),
    storeBoundBytes: gauge('store_bound_bytes', 'Bytes of the disk that the store may take'),
    storeState: gauge('store_state', '1 for what the store is: ok, full or failing', ['state']),
    evictedBlobs: counter('evicted_blobs_total', 'Blobs that made room for others'),
    evictedBytes: counter('evicted_bytes_total', 'Bytes of the disk that blobs and partials made free for others'),
    neighbours: gauge('neighbours', 'Peers connected'),
  };
}
