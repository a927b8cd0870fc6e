import type { Connection, Stream } from '@libp2p/interface';
import type { Logger } from 'pino';
import { BULK_PROTOCOL, CHUNKS_PROTOCOL, CONTROL_PROTOCOL } from '../../protocol/names.ts';
import { briefly, isAgentError } from '../errors.ts';
import { type Throttle, UNLIMITED } from '../limits/throttle.ts';
import type { Metrics } from '../observe/metrics.ts';
import { hostOf } from './address.ts';
import type { LaneHolders } from './bulk/holder.ts';
import { createAdmission } from './chunks/admission.ts';
import { ChunkBuffers } from './chunks/buffers.ts';
import { type ChunkServerComponents, serveChunks } from './chunks/server.ts';
import { serveControl } from './control/server.ts';
import type { Attendance } from './fleet/attendance.ts';
import { createHearings } from './fleet/hearing.ts';
import type { Inventories } from './inventory/inventories.ts';
import {
  CHUNK_TURN,
  INBOUND_BULK_STREAMS,
  INBOUND_CHUNK_STREAMS,
  INBOUND_CONTROL_STREAMS,
  KEPT_CHUNK_BUFFERS,
  QUEUED_CHUNKS,
  QUEUED_CHUNKS_PER_ADDRESS,
  UPLOAD_AHEAD,
  USUAL_CHUNK,
} from './limits.ts';
import type { Node } from './node.ts';
import type { Holdings } from './ports.ts';
import type { TagAnswering } from './tags/answering.ts';

/** How much more patience a sender has than an asker, who has gone elsewhere long before. */
export const SENDER_PATIENCE = 3;

export interface PeerServerComponents {
  readonly node: Node;
  readonly holdings: Holdings;
  /** Takes what peers tell of their blobs. */
  readonly inventories: Inventories;
  /** Takes what they say of blobs that agents take together, and gives chunks of such blobs. */
  readonly attendance: Attendance;
  /** Answers what they ask of tags. */
  readonly tags: TagAnswering;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'servedBytes' | 'laneBytes' | 'chunkBuffers' | 'busyAnswers' | 'fleetMessages'>;
  /** Holds back the chunks that are sent. @default no limit */
  readonly upload?: Throttle | undefined;
  /** The lanes that peers open for the bodies of chunks. @default none: they are not told of any */
  readonly lanes?: LaneHolders | undefined;
  /** Told once for each stream on which a peer broke the protocol. */
  onGarbage(peer: string): void;
  isBanned(peer: string): boolean;
  /** Monotonic, ms. */
  now(): number;
}

export interface PeerServerInit {
  /** See SwarmInit. ms */
  readonly stallTimeout: number;
  /** Ends every stream. */
  readonly signal: AbortSignal;
}

/** Answers what peers ask on the streams they open. To be called before the node starts, so that nobody is refused. */
export async function servePeers(components: PeerServerComponents, init: PeerServerInit): Promise<void> {
  const {
    node,
    holdings,
    inventories,
    attendance,
    logger,
    metrics,
    upload = UNLIMITED,
    lanes,
    isBanned,
    now,
  } = components;
  const admission = createAdmission({
    perAddress: QUEUED_CHUNKS_PER_ADDRESS,
    // Asked at each request: the limit changes with the hours.
    get overall() {
      return chunksAtOnce(upload.rate);
    },
    chunkTurn: CHUNK_TURN,
  });
  const received = metrics.fleetMessages.labels('received');
  const hearings = createHearings({
    attendance,
    onHeard: () => received.inc(),
    isBanned,
    now,
  });
  const timing = { stallTimeout: SENDER_PATIENCE * init.stallTimeout, signal: init.signal };

  const handle = (
    protocol: string,
    maxInboundStreams: number,
    serve: (stream: Stream, connection: Connection) => Promise<void>,
  ): Promise<void> =>
    node.handle(
      protocol,
      (stream, connection) => {
        const peer = connection.remotePeer.toString();
        serve(stream, connection).catch((error: unknown) => {
          // What was half sent cannot be taken back: a reset, so that nobody takes it for the whole.
          stream.abort(error instanceof Error ? error : new Error(String(error)));
          if (isAgentError(error, 'PEER_PROTOCOL')) components.onGarbage(peer);
          logger.debug({ peer, protocol, ...briefly(error) }, 'a peer’s stream ended badly');
        });
      },
      { maxInboundStreams },
    );

  await handle(CONTROL_PROTOCOL, INBOUND_CONTROL_STREAMS, (stream, { remotePeer }) => {
    const peer = remotePeer.toString();
    const parts = { holdings, telling: inventories.open(peer), hearing: hearings.open(peer), tags: components.tags };
    return serveControl(stream, parts, { ...timing, peer });
  });
  const sentByLane = metrics.laneBytes.labels('sent');
  const made = metrics.chunkBuffers.labels('sent');
  const chunks: ChunkServerComponents = {
    holdings,
    attendance,
    admission,
    buffers: new ChunkBuffers(USUAL_CHUNK, KEPT_CHUNK_BUFFERS, () => made.inc()),
    upload,
    lanes,
    onServed: (bytes) => metrics.servedBytes.inc(bytes),
    onSentByLane: (bytes) => sentByLane.inc(bytes),
    onBusy: () => metrics.busyAnswers.inc(),
    now,
  };
  await handle(CHUNKS_PROTOCOL, INBOUND_CHUNK_STREAMS, (stream, { remotePeer, remoteAddr }) =>
    serveChunks(stream, chunks, { ...timing, asker: { peer: remotePeer.toString(), address: hostOf(remoteAddr) } }),
  );
  if (lanes === undefined) return;
  await handle(BULK_PROTOCOL, INBOUND_BULK_STREAMS, (stream, { remotePeer }) =>
    lanes.serve(stream, remotePeer.toString(), init.signal),
  );
}

/** Chunk requests taken at a time. @param rate the upload's limit, bytes a second */
export function chunksAtOnce(rate: number | undefined): number {
  if (rate === undefined) return QUEUED_CHUNKS;
  return Math.min(QUEUED_CHUNKS, Math.max(1, Math.floor((rate * UPLOAD_AHEAD) / USUAL_CHUNK)));
}
