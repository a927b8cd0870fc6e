/**
 * What the main thread and the bulk thread tell each other. No chunk's byte travels so: the memory that chunks are in is
 * shared, and for as long as a body is on its way it is the bulk thread's.
 */

/** Bytes in memory that both threads see. */
export interface SharedBytes {
  readonly memory: SharedArrayBuffer;
  readonly offset: number;
  readonly length: number;
}

export type ToThread =
  /** Listens; answered with the port. */
  | { readonly kind: 'listen'; readonly call: number; readonly host: string; readonly port: number }
  /** From now on for a while, who shows this ticket is `peer`. Answered once that is so. */
  | {
      readonly kind: 'expect';
      readonly call: number;
      readonly ticket: string;
      readonly key: Uint8Array;
      readonly peer: string;
    }
  /** Connects; told of by `open` or `closed`. */
  | {
      readonly kind: 'dial';
      readonly lane: number;
      readonly host: string;
      readonly port: number;
      readonly localAddress: string | undefined;
      readonly ticket: string;
      readonly key: Uint8Array;
      /** ms */
      readonly timeout: number;
    }
  /** A body is to come on the lane, and so many bytes more may be read there. */
  | {
      readonly kind: 'take';
      readonly lane: number;
      readonly tag: number;
      readonly into: SharedBytes;
      readonly allowed: number;
    }
  /** So many bytes more may be read on the lane. */
  | { readonly kind: 'allow'; readonly lane: number; readonly bytes: number }
  /** Nobody wants the body any more, which comes all the same. */
  | { readonly kind: 'abandon'; readonly lane: number; readonly tag: number }
  /** The body does not come. Answered once its memory is left alone. */
  | { readonly kind: 'cancel'; readonly call: number; readonly lane: number; readonly tag: number }
  /** Sends bytes on the connection as they are. */
  | { readonly kind: 'send'; readonly connection: number; readonly id: number; readonly bytes: SharedBytes }
  /** Ends a lane or connection. */
  | { readonly kind: 'close'; readonly which: number; readonly reason: string };

export type FromThread =
  | { readonly kind: 'answer'; readonly call: number; readonly port?: number; readonly error?: string }
  | { readonly kind: 'open'; readonly lane: number }
  /** A whole body came; the memory is the main thread's again. Without a hash where nobody wanted it by then. */
  | { readonly kind: 'taken'; readonly lane: number; readonly tag: number; readonly sha256: Uint8Array | undefined }
  /** Bytes that moved since last told. */
  | { readonly kind: 'moved'; readonly which: number; readonly bytes: number }
  /** A peer has connected with its ticket. */
  | { readonly kind: 'joined'; readonly connection: number; readonly peer: string }
  /** The kernel has all of these bytes; the memory is the main thread's again. */
  | { readonly kind: 'sent'; readonly connection: number; readonly id: number }
  /** A lane or connection has ended, and nothing is read or written there any more. */
  | { readonly kind: 'closed'; readonly which: number; readonly reason: string; readonly isGarbage: boolean };
