import assert from 'node:assert/strict';
import type { Ed25519PrivateKey, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { encode } from 'cborg';
import { CHUNK_SIZE } from './independent-blob.ts';
import { bytes, type Message, PATIENCE, parse, read, send, sha256, text } from './independent-wire.ts';

/* "Fleet messages", "Marks" and "Taking together" of docs/protocol.md; see independent-peer.ts for what may be imported. */

const MARK_FORMAT = 'layerlan/mark/1';

/** Milliseconds. */
const HEARTBEAT = 1_000;
const SILENCE = 3_000;
const LEAST_GAP = 50;

/** "A claim": leases of a blob, and the chunks of one. */
const LIVE_LEASES = 2;
const SEGMENT = 16;

type Mark = [signer: string, signature: Uint8Array];
type Segment = [from: number, to: number];

interface Chunk {
  readonly bytes: Uint8Array;
  readonly mark: Mark;
}

/** How far another is with a blob. */
export interface Progress {
  readonly size: number | null;
  /** Chunks it gives with a mark. */
  readonly marks: ReadonlySet<number>;
  readonly leases: Segment[];
  readonly received: number;
}

/** A blob that this peer takes together with one agent. */
export interface IndependentTaking {
  /** What the agent said last of this blob, unless that was too long ago or it has left. */
  readonly theirs: Progress | undefined;
  /** Every fleet message of the agent's on this blob. */
  readonly heard: readonly Message[];
  /** Asks the agent for a lease, and gives its `grant` or `refuse`. */
  claim(): Promise<Message>;
  /** Says that these chunks are being taken from upstream. */
  lease(...segments: Segment[]): void;
  /** A chunk has come from upstream: it is signed, and announced by when this resolves. */
  put(index: number, chunk: Uint8Array): Promise<void>;
  /** A chunk of the agent's; its mark, which it must have, is checked. It is announced, to be given on. @returns its signer */
  get(index: number): Promise<string>;
  /** What is here, where that is all. */
  whole(): Buffer;
  accuse(index: number): void;
  leave(): void;
}

/** Where the agent is reached with which a blob is taken. */
export interface Other {
  readonly peer: string;
  readonly control: Stream;
  readonly chunks: Stream;
}

/** "Taking together": the coordinator of a blob among these. */
export function coordinatorOf(digest: string, peers: readonly string[]): string | undefined {
  const rank = (peer: string) => BigInt(`0x${sha256(Buffer.from(`${digest}\0${peer}`)).toString('hex')}`);
  return peers.toSorted((one, other) => (rank(one) < rank(other) ? 1 : -1))[0];
}

export function createFleet(privateKey: Ed25519PrivateKey) {
  const self = peerIdFromPrivateKey(privateKey).toString();
  const takings = new Map<string, Taking>();
  return {
    /** Whether it was a fleet message. */
    heard(peer: string, message: Message): boolean {
      const { type, digest } = checked(message);
      if (type === undefined) return false;
      const taking = takings.get(text(digest));
      if (taking?.other.peer === peer) taking.hear(message);
      return true;
    },
    /** A chunk of a blob on its way. */
    chunk: (digest: string, index: number): Chunk | undefined => takings.get(digest)?.chunks.get(index),
    take(other: Other, digest: string, size: number): IndependentTaking {
      const taking = new Taking(other, digest, size, self, privateKey);
      takings.get(digest)?.leave();
      takings.set(digest, taking);
      return taking;
    },
    stop(): void {
      for (const taking of takings.values()) taking.stop();
    },
  };
}

/** The message, where it is a fleet message; a type of undefined otherwise. */
function checked(message: Message): Message {
  const fields: Record<string, string> = {
    taking: 'digest,leases,mapped,marks,received,size,type',
    left: 'digest,type',
    claim: 'digest,first,size,type',
    grant: 'digest,partners,segment,type',
    refuse: 'digest,fetching,partners,type',
    accuse: 'digest,index,mark,sha256,size,type',
    vouch: 'digest,index,sha256,size,type',
  };
  const expected = fields[String(message.type)];
  if (expected === undefined) return {};
  assert.equal(Object.keys(message).sort().join(), expected, 'the fields of a fleet message');
  return message;
}

class Taking implements IndependentTaking {
  readonly chunks = new Map<number, Chunk>();
  readonly heard: Message[] = [];
  readonly other: Other;
  readonly #digest: string;
  readonly #size: number;
  readonly #count: number;
  readonly #self: string;
  readonly #privateKey: Ed25519PrivateKey;
  readonly #incoming: ReturnType<typeof read>;
  readonly #heartbeat: NodeJS.Timeout;
  #theirs: { readonly progress: Progress; readonly at: number } | undefined;
  #leases: Segment[] = [];
  #granted: Segment | undefined;
  #received = 0;
  #isOver = false;
  #announcedAt = 0;
  #delayed: NodeJS.Timeout | undefined;
  #onVerdict: ((message: Message) => void) | undefined;

  constructor(other: Other, digest: string, size: number, self: string, privateKey: Ed25519PrivateKey) {
    this.other = other;
    this.#digest = digest;
    this.#size = size;
    this.#count = Math.ceil(size / CHUNK_SIZE);
    this.#self = self;
    this.#privateKey = privateKey;
    this.#incoming = read(other.chunks);
    this.#announce();
    this.#heartbeat = setInterval(() => this.#announce(), HEARTBEAT);
    this.#heartbeat.unref();
  }

  get theirs(): Progress | undefined {
    return this.#theirs !== undefined && Date.now() - this.#theirs.at < SILENCE ? this.#theirs.progress : undefined;
  }

  hear(message: Message): void {
    this.heard.push(message);
    switch (message.type) {
      case 'taking':
        this.#theirs = { progress: this.#progressIn(message), at: Date.now() };
        if (this.#theirs.progress.leases.length > 0) this.#granted = undefined;
        break;
      case 'left':
        this.#theirs = undefined;
        break;
      case 'claim':
        this.#say(this.#verdict());
        break;
      case 'grant':
      case 'refuse':
        this.#onVerdict?.(message);
        break;
    }
  }

  claim(): Promise<Message> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to a claim for ${PATIENCE} ms`)), PATIENCE);
      this.#onVerdict = (message) => {
        clearTimeout(timer);
        this.#onVerdict = undefined;
        resolve(message);
      };
      this.#say({ type: 'claim', digest: this.#digest, size: this.#size, first: 0 });
    });
  }

  lease(...segments: Segment[]): void {
    this.#leases = segments;
    this.#announce();
  }

  async put(index: number, chunk: Uint8Array): Promise<void> {
    const signature = await this.#privateKey.sign(this.#statement(index, chunk));
    this.chunks.set(index, { bytes: chunk, mark: [this.#self, signature] });
    this.#received += chunk.length;
    const wait = this.#announcedAt + LEAST_GAP - Date.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    this.#announce();
  }

  async get(index: number): Promise<string> {
    const length = Math.min(CHUNK_SIZE, this.#size - index * CHUNK_SIZE);
    for (;;) {
      send(this.other.chunks, { digest: this.#digest, index });
      const { mark, ...answer } = parse(await this.#incoming.frame());
      if (answer.type === 'busy') {
        await new Promise((resolve) => setTimeout(resolve, 30));
        continue;
      }
      assert.deepEqual(answer, { type: 'chunk', length });
      const chunk = await this.#incoming.exactly(length);
      const [signer, signature] = mark as unknown[];
      const id = peerIdFromString(text(signer));
      assert.ok(id.type === 'Ed25519');
      assert.equal(bytes(signature).length, 64);
      const isTrue = await id.publicKey.verify(this.#statement(index, chunk), bytes(signature));
      assert.ok(isTrue, `the mark of chunk ${index} is its signer's`);
      this.chunks.set(index, { bytes: chunk, mark: [text(signer), bytes(signature)] });
      this.#announce();
      return text(signer);
    }
  }

  whole(): Buffer {
    const all = Array.from({ length: this.#count }, (_, index) => this.chunks.get(index)?.bytes);
    const blob = Buffer.concat(all.map((chunk) => chunk ?? assert.fail('a chunk is missing')));
    assert.equal(`sha256:${sha256(blob).toString('hex')}`, this.#digest, 'the whole is what was wanted');
    return blob;
  }

  accuse(index: number): void {
    const chunk = this.chunks.get(index);
    assert.ok(chunk !== undefined, 'a chunk that is here');
    const { mark } = chunk;
    this.#say({ type: 'accuse', digest: this.#digest, size: this.#size, index, sha256: sha256(chunk.bytes), mark });
  }

  leave(): void {
    this.stop();
    this.#say({ type: 'left', digest: this.#digest });
  }

  stop(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#delayed);
    this.#isOver = true;
  }

  /** "A claim", for two: the other's lease is the only one there can be beside this peer's. */
  #verdict(): Message {
    const own = [...this.#leases];
    const mine = own.length > 0 ? [this.#self] : [];
    const free = (index: number) =>
      index < this.#count &&
      !this.chunks.has(index) &&
      this.theirs?.marks.has(index) !== true &&
      ![...own, ...(this.theirs?.leases ?? []), ...(this.#granted ? [this.#granted] : [])].some(
        ([from, to]) => index >= from && index < to,
      );
    let from = 0;
    while (from < this.#count && !free(from)) from++;
    if (from === this.#count || mine.length >= LIVE_LEASES) {
      return { type: 'refuse', digest: this.#digest, fetching: mine, partners: [] };
    }
    let to = from + 1;
    while (to < from + SEGMENT && free(to)) to++;
    this.#granted = [from, to];
    return { type: 'grant', digest: this.#digest, segment: [from, to], partners: [] };
  }

  /** "Marks". */
  #statement(index: number, chunk: Uint8Array): Uint8Array {
    return encode([MARK_FORMAT, this.#digest, this.#size, index, sha256(chunk)]);
  }

  /** At once, but not more often than every 50 ms. */
  #announce(): void {
    clearTimeout(this.#delayed);
    if (this.#isOver) return;
    const wait = this.#announcedAt + LEAST_GAP - Date.now();
    if (wait > 0) {
      this.#delayed = setTimeout(() => this.#announce(), wait);
      return;
    }
    this.#announcedAt = Date.now();
    // "Bitmaps".
    const marks = new Uint8Array(Math.max(1, Math.ceil(this.#count / 8)));
    for (const index of this.chunks.keys()) {
      const at = Math.floor(index / 8);
      marks[at] = (marks[at] ?? 0) | (1 << (index % 8));
    }
    this.#leases = this.#leases
      .map(([from, to]): Segment => {
        let at = from;
        while (at < to && this.chunks.has(at)) at++;
        return [at, to];
      })
      .filter(([from, to]) => from < to);
    this.#say({
      type: 'taking',
      digest: this.#digest,
      size: this.#size,
      marks,
      mapped: null,
      leases: this.#leases,
      received: this.#received,
    });
  }

  #progressIn({ size, marks, leases, received }: Message): Progress {
    const map = bytes(marks);
    if (size !== null) assert.equal(map.length, Math.max(1, Math.ceil(Math.ceil(Number(size) / CHUNK_SIZE) / 8)));
    const set = new Set<number>();
    for (let index = 0; index < map.length * 8; index++) {
      if ((((map[Math.floor(index / 8)] ?? 0) >> (index % 8)) & 1) === 1) set.add(index);
    }
    for (const index of set) assert.ok(index < this.#count, 'no bit beyond the last chunk');
    assert.ok((leases as Segment[]).length <= LIVE_LEASES);
    for (const [from, to] of leases as Segment[]) assert.ok(from >= 0 && from < to && to <= this.#count);
    return { size: size as number | null, marks: set, leases: leases as Segment[], received: Number(received) };
  }

  #say(message: Message): void {
    if (this.other.control.status === 'open') send(this.other.control, message);
  }
}
