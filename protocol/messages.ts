import { decode, encode } from 'cborg';
import { z } from 'zod';
import { isBitmapOf, MAX_BITMAP_LENGTH } from './bitmap.ts';
import { LANE_KEY_LENGTH, TICKET_LENGTH } from './bulk.ts';
import { CHUNK_HASH_LENGTH, MAX_CHUNK_MAP_LENGTH } from './chunk-map.ts';
import { isBlobSize, layoutOf, MAX_CHUNKS } from './chunks.ts';
import { type Digest, isDigest } from './digest.ts';
import { MARK_SIGNATURE_LENGTH } from './mark.ts';
import { MAX_ACCEPT, MAX_CHECKED_AT, MAX_MEDIA_TYPE, MAX_TAG_NAMES } from './tag-record.ts';

/** Blobs in one announcement: a peer is not busy with one for more than a millisecond or two. */
export const MAX_ANNOUNCED = 1_000;

/** Segments one agent takes from upstream at a time: the one it is at, and the one after it. */
export const MAX_LEASES = 2;

/** Peers named in one message. */
export const MAX_NAMED = 16;

/** No frame is longer: the largest message is a chunk map and its envelope. Bytes. */
export const MAX_FRAME_LENGTH = MAX_CHUNK_MAP_LENGTH + 512;

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const size = z.custom<number>(isBlobSize);
const bytes = (min: number, max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= min && value.length <= max);
/** Chosen by the asker, given back with the answer; answers may come in any order. */
const id = z.number().int().min(0).max(0xffff_ffff);
const index = z
  .number()
  .int()
  .min(0)
  .max(MAX_CHUNKS - 1);

/** Digest, size and chunk map root of a blob: without keys, an eighth shorter and half as dear to read. */
const announced = z.tuple([digest, size, bytes(CHUNK_HASH_LENGTH, CHUNK_HASH_LENGTH)]);

/** A peer id in text. What is not one names nobody. */
const peer = z.string().min(1).max(128);
const named = z.array(peer).max(MAX_NAMED);
const bitmap = bytes(1, MAX_BITMAP_LENGTH);
/** null for a manifest whose size nobody knows yet: it is one chunk. */
const takenSize = size.nullable();
/** Who took a chunk, or a tag's word, from upstream, and its signature; see protocol/mark.ts. */
const mark = z.tuple([peer, bytes(MARK_SIGNATURE_LENGTH, MARK_SIGNATURE_LENGTH)]);
const text = (max: number) => z.string().min(1).max(max);
const accept = text(MAX_ACCEPT);
/** From chunk, to before chunk. */
const segment = z
  .tuple([index, z.number().int().min(1).max(MAX_CHUNKS)])
  .refine(([from, to]: [number, number]) => from < to);

/** The state of one blob that the sender takes, as it is now: each such message stands for all before it. */
const taking = z
  .strictObject({
    type: z.literal('taking'),
    digest,
    size: takenSize,
    /** Chunks it gives with a mark. */
    marks: bitmap,
    /** Chunks it gives that matched the chunk map with this root. */
    mapped: z.tuple([bytes(CHUNK_HASH_LENGTH, CHUNK_HASH_LENGTH), bitmap]).nullable(),
    /** What it takes, or is about to take, from upstream. */
    leases: z.array(segment).max(MAX_LEASES),
    /** Bytes it has had of the blob from upstream so far. */
    received: size,
  })
  // Whoever reads one may look at any bit or chunk in it without a look at its bounds.
  .refine(({ size, marks, mapped, leases }) => {
    const count = size === null ? 1 : layoutOf(size).count;
    return (
      isBitmapOf(marks, count) &&
      (mapped === null || isBitmapOf(mapped[1], count)) &&
      leases.every(([, to]) => to <= count)
    );
  });

/** How the agents of a LAN share the taking of one blob; see docs/protocol.md. */
const fleetMessages = [
  taking,
  z.strictObject({ type: z.literal('left'), digest }),
  /** `first` is the chunk that is wanted first. */
  z.strictObject({ type: z.literal('claim'), digest, size: takenSize, first: index }),
  z.strictObject({ type: z.literal('grant'), digest, segment, partners: named }),
  z.strictObject({ type: z.literal('refuse'), digest, fetching: named, partners: named }),
  /** With what the signer signed, so that whoever hears it can look for itself. */
  z.strictObject({
    type: z.literal('accuse'),
    digest,
    size,
    index,
    sha256: bytes(CHUNK_HASH_LENGTH, CHUNK_HASH_LENGTH),
    mark,
  }),
  /** What the sender saw upstream, of a chunk that somebody else has signed for. */
  z.strictObject({
    type: z.literal('vouch'),
    digest,
    size,
    index,
    sha256: bytes(CHUNK_HASH_LENGTH, CHUNK_HASH_LENGTH),
  }),
] as const;

/** What travels on a control stream from its opener: questions, which have an id, and announcements, which have none. */
const controlRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('have'), id, digest }),
  z.strictObject({ type: z.literal('map'), id, digest }),
  z.strictObject({
    type: z.literal('tag'),
    id,
    registry: text(MAX_TAG_NAMES.registry),
    repository: text(MAX_TAG_NAMES.repository),
    tag: text(MAX_TAG_NAMES.tag),
    accept,
  }),
  z.strictObject({ type: z.literal('hold'), blobs: z.array(announced).min(1).max(MAX_ANNOUNCED) }),
  z.strictObject({ type: z.literal('drop'), digests: z.array(digest).min(1).max(MAX_ANNOUNCED) }),
  z.strictObject({ type: z.literal('complete'), truncated: z.boolean() }),
  ...fleetMessages,
]);
/** What travels back. */
const controlAnswer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('holding'), id, size, root: bytes(CHUNK_HASH_LENGTH, CHUNK_HASH_LENGTH) }),
  z.strictObject({ type: z.literal('map'), id, map: bytes(1, MAX_CHUNK_MAP_LENGTH) }),
  /** With its signature over the names of the question too; see protocol/tag-record.ts. */
  z.strictObject({
    type: z.literal('tag'),
    id,
    accept,
    digest,
    mediaType: text(MAX_MEDIA_TYPE),
    size,
    checkedAt: z.number().int().min(0).max(MAX_CHECKED_AT),
    mark,
  }),
  z.strictObject({ type: z.literal('missing'), id }),
  z.strictObject({ type: z.literal('busy'), id }),
]);
/** What travels on a chunk stream from its opener; answered in order. */
const chunkRequest = z.strictObject({
  digest,
  index,
  /** What the body is to be named on the opener's bulk lane, where it has one. */
  lane: id.optional(),
});
/** What travels back; after `chunk` come exactly `length` bytes, outside any frame, unless they come by the bulk lane. */
const chunkAnswer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('chunk'),
    length: size,
    mark: mark.nullable(),
    lane: z.literal(true).optional(),
  }),
  z.strictObject({ type: z.literal('missing') }),
  z.strictObject({ type: z.literal('busy') }),
]);
/** What travels on a bulk stream from its opener: it wants a lane. */
const laneRequest = z.strictObject({ type: z.literal('lane') });
/** What travels back: where to connect and by which ticket and key, or that there is no lane to be had. */
const laneAnswer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('lane'),
    port: z.number().int().min(1).max(65_535),
    ticket: bytes(TICKET_LENGTH, TICKET_LENGTH),
    key: bytes(LANE_KEY_LENGTH, LANE_KEY_LENGTH),
  }),
  z.strictObject({ type: z.literal('none') }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;
/** What wants an answer, with its id. */
export type ControlQuestion = Extract<ControlRequest, { id: number }>;
/** What wants none: of one blob that agents take together. */
export type FleetMessage = z.infer<(typeof fleetMessages)[number]>;
/** What wants none: of the blobs that the opener holds. */
export type Announcement = Exclude<ControlRequest, ControlQuestion | FleetMessage>;
export type ControlAnswer = z.infer<typeof controlAnswer>;
export type ChunkRequest = z.infer<typeof chunkRequest>;
export type ChunkAnswer = z.infer<typeof chunkAnswer>;
export type LaneAnswer = z.infer<typeof laneAnswer>;

/** How one kind of message goes into a frame's body and comes out of it. */
export interface Codec<Message> {
  encode(message: Message): Uint8Array;
  /** undefined for whatever is not, byte for byte, what {@link encode} would write for one well-formed message. */
  decode(body: Uint8Array): Message | undefined;
}

function codec<Message>(schema: z.ZodType<Message>): Codec<Message> {
  return {
    encode: (message) => encode(message),
    decode: (body) => {
      try {
        const value = decode(body, {
          strict: true,
          allowIndefinite: false,
          allowUndefined: false,
          rejectDuplicateMapKeys: true,
        });
        const message = schema.safeParse(value).data;
        // One message, one encoding: cborg lets keys in another order pass, and a whole number written as a float.
        return message !== undefined && Buffer.compare(encode(message), body) === 0 ? message : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

export const controlRequests: Codec<ControlRequest> = codec(controlRequest);
export const controlAnswers: Codec<ControlAnswer> = codec(controlAnswer);
export const chunkRequests: Codec<ChunkRequest> = codec(chunkRequest);
export const chunkAnswers: Codec<ChunkAnswer> = codec(chunkAnswer);
export const laneRequests: Codec<z.infer<typeof laneRequest>> = codec(laneRequest);
export const laneAnswers: Codec<LaneAnswer> = codec(laneAnswer);
