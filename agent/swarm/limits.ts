/** Chunk streams an agent opens to one peer. */
export const CHUNK_STREAMS_PER_PEER = 4;

/** Requests outstanding on one chunk stream: the next is there when the last has been answered. */
export const REQUESTS_PER_CHUNK_STREAM = 2;

/** Chunk requests that wait for a place on one of a peer's streams; beyond it the asker hears "busy" from itself. */
export const WAITING_CHUNK_REQUESTS = 64;

/** Chunk streams a peer may have open to us at once: its four, and some that are on their way out. */
export const INBOUND_CHUNK_STREAMS = 8;

/** Control streams a peer may have open to us at once: its one, and one that takes over from it. */
export const INBOUND_CONTROL_STREAMS = 4;

/** Streams on which a peer may ask for a bulk lane at once: its one, and one that is on its way out. */
export const INBOUND_BULK_STREAMS = 2;

/**
 * Chunk requests taken from one address at a time; beyond it the answer is "busy" and the asker goes elsewhere. Eight
 * wait; four more may be on their way out, for an asker has a chunk before its sender knows.
 */
export const QUEUED_CHUNKS_PER_ADDRESS = 12;

/** Chunk requests taken from all peers at a time: each may hold a chunk in memory while it is sent. */
export const QUEUED_CHUNKS = 64;

/**
 * Buffers of {@link USUAL_CHUNK} kept for the next chunks. Each stream gives one back just before it takes the next, so
 * this is for the pauses between, and not for as many chunks as may be on their way at a time.
 */
export const KEPT_CHUNK_BUFFERS = 16;

/**
 * What may be asked of a limited upload at a time: as many seconds' worth of chunks. An asker gives a chunk a minute, and
 * asks elsewhere long before; "busy" sends it elsewhere in time.
 */
export const UPLOAD_AHEAD = 16;

/** The size of nearly all chunks: of all of a blob of 16 GiB or less. Bytes. */
export const USUAL_CHUNK = 1024 * 1024;

/**
 * For so long a chunk that is on its way to one peer is kept from others. A chunk takes 8 ms at 1 Gbit, and a whole
 * queue before it half a second. ms
 */
export const CHUNK_TURN = 2_000;

/** Requests read ahead of the answers on one chunk stream: so that "busy" is said in time. */
export const READ_AHEAD = 16;

/** Questions outstanding on one control stream. */
export const OUTSTANDING_QUESTIONS = 256;

/** Bytes of one write of a chunk body: 25% faster than 64 KiB. */
export const PIECE = 256 * 1024;

/** Peers of whom anything is remembered at all. */
export const KNOWN_PEERS = 1_000;

/** Blobs an agent tells its neighbours of: those used last when it started, and those it took since. A store of that many layers is some terabytes. */
export const ROSTER_LENGTH = 20_000;

/**
 * Blobs kept of what one neighbour tells: what it may tell, and one announcement, as what goes and what comes may be
 * told in either order.
 */
export const INVENTORY_LENGTH = ROSTER_LENGTH + 1_000;

/** Blobs kept of what all neighbours tell: about 80 MB. */
export const TOLD_BLOBS = 250_000;

/** Blobs in one announcement of ours: some 30 KB, so that a question behind it does not wait long. */
export const BLOBS_PER_ANNOUNCEMENT = 256;

/** The least time between two messages of changes: what changes meanwhile is told in one. ms */
export const ANNOUNCE_WITHIN = 50;

/** Fleet messages, other than states of blobs, that wait for one neighbour: the oldest are the least worth. */
export const WAITING_FLEET_MESSAGES = 64;

/** States of blobs that wait for one neighbour, one a blob: more than an agent takes at a time. */
export const WAITING_STATES = 256;

/**
 * Fleet messages read from one peer, a second in the long run and at once. One that takes eight blobs tells of each
 * twenty times a second at most.
 */
export const FLEET_RATE = 400;
export const FLEET_BURST = 800;

/**
 * Questions for tags put to one peer, and answered to one, a second in the long run and at once. Each takes a look into the index and a
 * signature, a tenth of a millisecond; a host that starts anew asks for as many tags as it has images.
 */
export const TAG_QUESTION_RATE = 50;
export const TAG_QUESTION_BURST = 200;
