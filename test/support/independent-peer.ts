import assert from 'node:assert/strict';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Connection, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { CHUNK_SIZE, chunksOf, digestOf, hashesIn, mapOf } from './independent-blob.ts';
import { createNode } from './independent-node.ts';
import { createFleet, type IndependentTaking } from './independent-taking.ts';
import { bytes, CHUNKS, CONTROL, type Message, PATIENCE, parse, read, send, sha256, text } from './independent-wire.ts';

/*
 * A peer written from docs/protocol.md alone: it imports nothing of agent/ or protocol/, not even a constant, so that
 * the document is proved to be enough. Where this file and the document disagree, one of them is wrong.
 */

/** "Announcements": entries of one message. */
const MAX_ANNOUNCED = 1_000;

/** Chunk requests on the one stream this peer uses: "an asker should have two outstanding". */
const PIPELINED = 2;

export interface IndependentPeerInit {
  readonly listen: string;
  /** Bytes of the fleet's key. @default none */
  readonly networkKey?: Uint8Array;
}

export interface IndependentPeer {
  readonly id: string;
  readonly addresses: string[];
  /** Chunks it sent. */
  readonly chunksServed: number;
  /** Questions on control streams that it was asked. */
  readonly questions: number;
  /** What agents told it on the control streams that are open: digest to size. */
  readonly told: ReadonlyMap<string, number>;
  /** Control streams on which everything was told. */
  readonly complete: number;
  /** Holds a blob from now on. @returns its sha256 digest */
  hold(bytes: Uint8Array): string;
  /** Holds it no longer. */
  drop(digest: string): void;
  /** Tells the agent at a multiaddr what it holds, and from then on what changes. */
  announce(address: string): Promise<void>;
  /** Takes a blob of a size that is known for sure from the agent at a multiaddr, and checks all there is to check. */
  fetch(address: string, digest: string, size: number): Promise<Buffer>;
  /**
   * Takes a blob, which is not held, together with the agent at a multiaddr: from now on it says how far it is, each
   * second and when that changes, and coordinates what it is asked to.
   */
  take(address: string, digest: string, size: number): Promise<IndependentTaking>;
  /** What the agent at a multiaddr answers to `have`. */
  have(address: string, digest: string): Promise<Message>;
  /** What it answers to `have`, to `map` and to a request for the first chunk, whatever it answered before. */
  probe(address: string, digest: string): Promise<Message[]>;
  stop(): Promise<void>;
}

export async function startIndependentPeer(init: IndependentPeerInit): Promise<IndependentPeer> {
  const blobs = new Map<string, Uint8Array>();
  const told = new Map<string, number>();
  /** Control streams that this peer announces on. */
  const listeners: Stream[] = [];
  let complete = 0;
  let questions = 0;
  let chunksServed = 0;
  let nextId = 1_000;
  const privateKey = await generateKeyPair('Ed25519');
  const node = await createNode({ privateKey, listen: [init.listen], networkKey: init.networkKey });

  /** "Announcements": no answer. This peer knows one agent at a time, so it keeps one table. */
  const takeAnnouncement = ({ type, blobs: held, digests, truncated, ...more }: Message): boolean => {
    if (type !== 'hold' && type !== 'drop' && type !== 'complete') return false;
    assert.deepEqual(more, {}, 'no other fields');
    if (type === 'complete') {
      assert.equal(typeof truncated, 'boolean');
      complete += 1;
      return true;
    }
    const list = (type === 'hold' ? held : digests) as unknown[];
    assert.ok(list.length >= 1 && list.length <= MAX_ANNOUNCED);
    for (const entry of list) {
      if (type === 'drop') {
        told.delete(text(entry));
        continue;
      }
      const [digest, size, root, ...rest] = entry as unknown[];
      assert.equal(bytes(root).length, 32);
      assert.deepEqual(rest, []);
      told.set(text(digest), Number(size));
    }
    return true;
  };

  const fleet = createFleet(privateKey);

  const entryOf = (digest: string, blob: Uint8Array) => [digest, blob.length, sha256(mapOf(digest, blob))];

  const answerControl = async (stream: Stream, peer: string): Promise<void> => {
    for await (const body of read(stream).frames()) {
      const message = parse(body);
      if (takeAnnouncement(message) || fleet.heard(peer, message)) continue;
      questions += 1;
      const { type, id, digest } = message;
      // "Tags": an agent that knows none.
      if (type === 'tag') {
        send(stream, { type: 'missing', id });
        continue;
      }
      const blob = blobs.get(text(digest));
      if (blob === undefined) send(stream, { type: 'missing', id });
      else if (type === 'map') send(stream, { type, id, map: mapOf(text(digest), blob) });
      else send(stream, { type: 'holding', id, size: blob.length, root: sha256(mapOf(text(digest), blob)) });
    }
    await stream.close();
  };

  const answerChunks = async (stream: Stream): Promise<void> => {
    for await (const body of read(stream).frames()) {
      const { digest, index } = parse(body);
      const held = chunksOf(blobs.get(text(digest)) ?? new Uint8Array(0))[Number(index)];
      const taken = fleet.chunk(text(digest), Number(index));
      const chunk = held ?? taken?.bytes;
      if (chunk === undefined) {
        send(stream, { type: 'missing' });
        continue;
      }
      send(stream, { type: 'chunk', length: chunk.length, mark: taken?.mark ?? null });
      stream.send(chunk);
      chunksServed += 1;
    }
    await stream.close();
  };

  const serve = (protocol: string, answer: (stream: Stream, peer: string) => Promise<void>) =>
    node.handle(protocol, (stream, { remotePeer }) => {
      answer(stream, remotePeer.toString()).catch((error) => stream.abort(error));
    });
  await serve(CONTROL, answerControl);
  await serve(CHUNKS, answerChunks);
  await node.start();

  const connect = (address: string): Promise<Connection> =>
    node.dial(multiaddr(address), { signal: AbortSignal.timeout(PATIENCE) });

  /** Both questions at once, told apart by their ids alone. */
  const ask = async (connection: Connection, digest: string): Promise<{ have: Message; map: Message }> => {
    const stream = await connection.newStream(CONTROL, { signal: AbortSignal.timeout(PATIENCE) });
    const incoming = read(stream);
    const [haveId, mapId] = [nextId++, nextId++];
    send(stream, { type: 'have', id: haveId, digest });
    send(stream, { type: 'map', id: mapId, digest });
    const answers = new Map<unknown, Message>();
    while (answers.size < 2) {
      const answer = parse(await incoming.frame());
      answers.set(answer.id, answer);
    }
    await stream.close();
    assert.equal(await incoming.frame(), undefined, 'the answerer closes after the asker');
    const [have, map] = [answers.get(haveId), answers.get(mapId)];
    assert.ok(have !== undefined && map !== undefined);
    return { have, map };
  };

  const takeChunks = async (connection: Connection, digest: string, hashes: Uint8Array[], size: number) => {
    const stream = await connection.newStream(CHUNKS, { signal: AbortSignal.timeout(PATIENCE) });
    const incoming = read(stream);
    const chunks: Buffer[] = [];
    let asked = 0;
    while (chunks.length < hashes.length) {
      while (asked < hashes.length && asked - chunks.length < PIPELINED) send(stream, { digest, index: asked++ });
      const index = chunks.length;
      const length = Math.min(CHUNK_SIZE, size - index * CHUNK_SIZE);
      const { mark: _mark, ...answer } = parse(await incoming.frame());
      assert.deepEqual(answer, { type: 'chunk', length });
      const chunk = await incoming.exactly(length);
      assert.deepEqual(sha256(chunk), Buffer.from(hashes[index] ?? []), `chunk ${index} is what the map says`);
      chunks.push(chunk);
    }
    send(stream, { digest, index: hashes.length });
    assert.deepEqual(parse(await incoming.frame()), { type: 'missing' }, 'there is no chunk behind the last');
    await stream.close();
    return Buffer.concat(chunks);
  };

  return {
    id: node.peerId.toString(),
    get addresses() {
      return node.getMultiaddrs().map(String);
    },
    get chunksServed() {
      return chunksServed;
    },
    get questions() {
      return questions;
    },
    told,
    get complete() {
      return complete;
    },
    hold(bytes) {
      const digest = digestOf(bytes);
      blobs.set(digest, bytes);
      for (const stream of listeners) send(stream, { type: 'hold', blobs: [entryOf(digest, bytes)] });
      return digest;
    },
    drop(digest) {
      if (!blobs.delete(digest)) return;
      for (const stream of listeners) send(stream, { type: 'drop', digests: [digest] });
    },
    async announce(address) {
      const connection = await connect(address);
      const stream = await connection.newStream(CONTROL, { signal: AbortSignal.timeout(PATIENCE) });
      stream.addEventListener('close', () => listeners.splice(listeners.indexOf(stream), 1), { once: true });
      listeners.push(stream);
      const entries = [...blobs].map(([digest, blob]) => entryOf(digest, blob));
      if (entries.length > 0) send(stream, { type: 'hold', blobs: entries });
      send(stream, { type: 'complete', truncated: false });
    },
    async take(address, digest, size) {
      const connection = await connect(address);
      const control = await connection.newStream(CONTROL, { signal: AbortSignal.timeout(PATIENCE) });
      const chunks = await connection.newStream(CHUNKS, { signal: AbortSignal.timeout(PATIENCE) });
      return fleet.take({ peer: connection.remotePeer.toString(), control, chunks }, digest, size);
    },
    async have(address, digest) {
      return (await ask(await connect(address), digest)).have;
    },
    async probe(address, digest) {
      const connection = await connect(address);
      const { have, map } = await ask(connection, digest);
      const stream = await connection.newStream(CHUNKS, { signal: AbortSignal.timeout(PATIENCE) });
      send(stream, { digest, index: 0 });
      const chunk = parse(await read(stream).frame());
      stream.abort(new Error('asked'));
      return [have, map, chunk];
    },
    async fetch(address, digest, size) {
      const connection = await connect(address);
      const { have, map } = await ask(connection, digest);
      assert.equal(have.type, 'holding');
      assert.equal(have.size, size);
      assert.equal(map.type, 'map');
      const encoded = bytes(map.map);
      assert.deepEqual(sha256(encoded), Buffer.from(bytes(have.root)), 'the map is the one that was claimed');
      const blob = await takeChunks(connection, digest, hashesIn(encoded, digest, size), size);
      assert.equal(digestOf(blob), digest, 'the whole is what was asked for');
      return blob;
    },
    async stop() {
      fleet.stop();
      for (const connection of node.getConnections()) connection.abort(new Error('stopped'));
      await node.stop();
    },
  };
}
