import { decode, encode } from 'cborg';
import { z } from 'zod';
import { CHUNK_HASH_LENGTH, MAX_CHUNK_MAP_LENGTH } from './chunk-map.ts';
import { isBlobSize, MAX_CHUNKS } from './chunks.ts';
import { type Digest, isDigest } from './digest.ts';

/** Blobs in one announcement: a peer is not busy with one for more than a millisecond or two. */
export const MAX_ANNOUNCED = 1_000;

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

/** What travels on a control stream from its opener: questions, which have an id, and announcements, which have none. */
const controlRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('have'), id, digest }),
  z.strictObject({ type: z.literal('map'), id, digest }),
  z.strictObject({ type: z.literal('hold'), blobs: z.array(announced).min(1).max(MAX_ANNOUNCED) }),
  z.strictObject({ type: z.literal('drop'), digests: z.array(digest).min(1).max(MAX_ANNOUNCED) }),
  z.strictObject({ type: z.literal('complete'), truncated: z.boolean() }),
]);
/** What travels back. */
const controlAnswer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('holding'), id, size, root: bytes(CHUNK_HASH_LENGTH, CHUNK_HASH_LENGTH) }),
  z.strictObject({ type: z.literal('map'), id, map: bytes(1, MAX_CHUNK_MAP_LENGTH) }),
  z.strictObject({ type: z.literal('missing'), id }),
  z.strictObject({ type: z.literal('busy'), id }),
]);
/** What travels on a chunk stream from its opener; answered in order. */
const chunkRequest = z.strictObject({ digest, index });
/** What travels back; after `chunk` come exactly `length` bytes, outside any frame. */
const chunkAnswer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('chunk'), length: size }),
  z.strictObject({ type: z.literal('missing') }),
  z.strictObject({ type: z.literal('busy') }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;
/** What wants an answer, with its id. */
export type ControlQuestion = Extract<ControlRequest, { id: number }>;
/** What tells of the opener's own blobs, and wants none. */
export type Announcement = Exclude<ControlRequest, ControlQuestion>;
export type ControlAnswer = z.infer<typeof controlAnswer>;
export type ChunkRequest = z.infer<typeof chunkRequest>;
export type ChunkAnswer = z.infer<typeof chunkAnswer>;

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
