/** Before each body on a bulk lane: its tag and its length, each 32 bits, the highest byte first. */
export const BODY_HEAD_LENGTH = 8;

export interface BodyHead {
  /** As the asker named the body. */
  readonly tag: number;
  /** Bytes. */
  readonly length: number;
}

/** Writes the head into the first {@link BODY_HEAD_LENGTH} bytes of `into`. */
export function encodeBodyHead({ tag, length }: BodyHead, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, BODY_HEAD_LENGTH);
  view.setUint32(0, tag);
  view.setUint32(4, length);
}

export function decodeBodyHead(bytes: Uint8Array): BodyHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, BODY_HEAD_LENGTH);
  return { tag: view.getUint32(0), length: view.getUint32(4) };
}

/** A bulk lane's ticket, the PSK identity of its TLS connection in lower-case hex. Bytes. */
export const TICKET_LENGTH = 16;

/** A bulk lane's key, the PSK of its TLS connection. Bytes. */
export const LANE_KEY_LENGTH = 32;
