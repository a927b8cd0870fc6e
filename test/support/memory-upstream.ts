import { hash } from 'node:crypto';
import { AgentError, type ErrorCode } from '../../agent/errors.ts';
import type { Upstream } from '../../agent/fetch/ports.ts';
import type { Said } from '../../agent/fetch/privacy/standing.ts';
import { type Digest, toDigest } from '../../protocol/digest.ts';

/** Bytes a body yields at a time: never a divisor of a chunk, so that pieces cross its borders. */
const PIECE = 100_003;

/** A twin of the upstream role in memory, with the faults that reach its users. */
export interface MemoryUpstream extends Upstream {
  add(bytes: Uint8Array): Digest;
  tag(name: string, manifest: Uint8Array, mediaType: string): Digest;
  /** Takes a tag, or what has a digest, away. */
  remove(reference: string): void;
  /** Fails every call with this from now on; undefined mends it. */
  away: ErrorCode | undefined;
  /** Ends bodies with this error once the blob's byte at this offset is reached. */
  breakAt: number | undefined;
  /** Sends this body instead of the true one. */
  wrong: Uint8Array | undefined;
  /** Names of repositories that are asked with credentials. */
  readonly private: Set<string>;
  /** What the registry says of one of them without. @default denied */
  readonly said: Map<string, Said>;
  /** What it was asked without credentials, in order: a repository and a reference, or `tags`. */
  readonly anonymousAsks: string[];
  /** Waits for this before each such answer. */
  anonymousPause: (signal: AbortSignal) => Promise<void>;
  /** Knows no Range: sends all there is, whatever end was asked for. */
  isRangeless: boolean;
  /** Waits for this before each piece of a body. */
  pace: (signal: AbortSignal) => Promise<void>;
  /** What refers to a manifest, by its digest; undefined: it does not know of referrers. */
  referrers: Map<Digest, readonly Record<string, unknown>[]> | undefined;
  /** The offsets that blobs were asked for from, in order. */
  readonly gets: { digest: Digest; offset: number }[];
  readonly manifestGets: string[];
  readonly manifestHeads: string[];
  /** Every tag's validator, of which HEAD then tells instead of the digest. */
  etag: string | undefined;
  /** Waits for this before each answer on a manifest. */
  pause: (signal: AbortSignal) => Promise<void>;
  /** Body bytes given. */
  sent: number;
}

export function memoryUpstream(): MemoryUpstream {
  const blobs = new Map<string, Uint8Array>();
  const types = new Map<string, string>();
  const tags = new Map<string, Digest>();

  const blob = (digest: string, code: ErrorCode): Uint8Array => {
    if (twin.away !== undefined) throw new AgentError(twin.away, 'upstream is away');
    const bytes = blobs.get(digest);
    if (bytes === undefined) throw new AgentError(code, `upstream has no ${digest}`);
    return bytes;
  };
  const manifest = (reference: string) => {
    const digest = tags.get(reference) ?? (reference as Digest);
    const bytes = blob(digest, 'MANIFEST_UNKNOWN');
    return { digest, bytes, mediaType: types.get(digest) ?? 'application/octet-stream', size: bytes.length };
  };
  const twin: MemoryUpstream = {
    away: undefined,
    breakAt: undefined,
    wrong: undefined,
    isRangeless: false,
    private: new Set(),
    mayBePrivate: ({ name }) => twin.private.has(name),
    said: new Map(),
    anonymousAsks: [],
    anonymousPause: () => Promise.resolve(),
    anonymous: {
      async standing({ name }, reference, signal) {
        twin.anonymousAsks.push(`${name} ${reference ?? 'tags'}`);
        await twin.anonymousPause(signal);
        isHere();
        return twin.private.has(name) ? (twin.said.get(name) ?? 'denied') : 'public';
      },
      async has({ name }, _kind, digest, signal) {
        twin.anonymousAsks.push(`${name} ${digest}`);
        await twin.anonymousPause(signal);
        isHere();
        return blobs.has(digest) && (!twin.private.has(name) || twin.said.get(name) === 'public');
      },
    },
    pace: () => Promise.resolve(),
    gets: [],
    manifestGets: [],
    manifestHeads: [],
    etag: undefined,
    pause: () => Promise.resolve(),
    sent: 0,
    referrers: new Map(),
    add(bytes) {
      const digest = toDigest('sha256', hash('sha256', bytes, 'buffer'));
      blobs.set(digest, bytes);
      return digest;
    },
    tag(name, bytes, mediaType) {
      const digest = twin.add(bytes);
      types.set(digest, mediaType);
      tags.set(name, digest);
      return digest;
    },
    remove(reference) {
      tags.delete(reference);
      blobs.delete(reference);
    },
    async headManifest(repository, reference, _accept, signal) {
      twin.manifestHeads.push(reference);
      await twin.pause(signal);
      const { etag } = twin;
      const head = { ...manifest(reference), withCredentials: twin.mayBePrivate(repository) };
      return etag === undefined ? head : { ...head, digest: undefined, etag };
    },
    async getManifest(repository, reference, _accept, signal) {
      twin.manifestGets.push(reference);
      await twin.pause(signal);
      const { etag } = twin;
      const body = { ...manifest(reference), withCredentials: twin.mayBePrivate(repository) };
      return etag === undefined ? body : { ...body, etag };
    },
    async headBlob(_repository, digest) {
      return { size: blob(digest, 'BLOB_UNKNOWN').length };
    },
    async listTags(_repository, query) {
      isHere();
      const { n, last } = Object.fromEntries(new URLSearchParams(query));
      const after = [...tags.keys()].sort().filter((tag) => tag > (last ?? ''));
      const part = after.slice(0, Number(n ?? after.length));
      const isMore = part.length < after.length;
      return { tags: part, next: isMore ? `n=${n}&last=${part.at(-1)}` : undefined };
    },
    async listReferrers(_repository, digest) {
      isHere();
      if (twin.referrers === undefined) throw new AgentError('MANIFEST_UNKNOWN', 'upstream knows of no referrers');
      const index = { schemaVersion: 2, manifests: twin.referrers.get(digest) ?? [] };
      return { index, size: JSON.stringify(index).length, isFiltered: false, next: undefined };
    },
    async getBlob(repository, digest, offset, signal, end) {
      const bytes = twin.wrong ?? blob(digest, 'BLOB_UNKNOWN');
      twin.gets.push({ digest, offset });
      const to = twin.isRangeless ? bytes.length : Math.min(bytes.length, end ?? bytes.length);
      const withCredentials = twin.mayBePrivate(repository);
      const piece = bytes.subarray(0, to);
      return { size: bytes.length, isRanged: !twin.isRangeless, withCredentials, body: body(piece, offset, signal) };
    },
  };

  function isHere(): void {
    if (twin.away !== undefined) throw new AgentError(twin.away, 'upstream is away');
  }

  async function* body(bytes: Uint8Array, offset: number, signal: AbortSignal) {
    for (let at = offset; at < bytes.length; at += PIECE) {
      await twin.pace(signal);
      signal.throwIfAborted();
      if (twin.away !== undefined || at >= (twin.breakAt ?? Number.POSITIVE_INFINITY)) {
        throw new AgentError(twin.away ?? 'UPSTREAM_FAILED', 'the body broke');
      }
      const piece = bytes.subarray(at, at + PIECE);
      twin.sent += piece.length;
      yield piece;
    }
  }
  return twin;
}
