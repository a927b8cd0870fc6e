import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { type ImageParts, partsOfImage } from '../oci/image-parts.ts';
import { type ImageReference, imageReferenceText, parseImageReference, referenceOf } from '../oci/image-reference.ts';
import { MANIFEST_MEDIA_TYPES } from '../oci/manifest.ts';
import { parsePlatform, thisPlatform, type WantedPlatform } from '../oci/platform.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';

/** Blobs that are taken at once, as dockerd and containerd do. */
const LANES = 3;

/** How often it is said how far it has come. Milliseconds. */
const TELL_EVERY = 500;

/** Where bytes were when they were asked for. */
type Source = 'store' | 'peer' | 'upstream';

/** Where an image comes from: the agent's own content, as a client of it has it. */
export interface PullContent {
  getManifest(
    request: { repository: Repository; reference: string; accept: readonly string[] },
    signal: AbortSignal,
  ): Promise<{ digest: Digest; mediaType: string; bytes: Uint8Array; source: Source }>;
  openBlob(
    request: { repository: Repository; digest: Digest },
    signal: AbortSignal,
    taking: { intoStore: true; told(source: Source, bytes: number): void },
  ): Promise<{ size: number; read(start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array> }>;
}

export interface PullComponents {
  readonly content: PullContent;
  readonly store: {
    find(digest: Digest): { readonly size: number } | undefined;
    state(): { readonly state: string; readonly reason: string | null };
  };
  /** Whether what comes from a repository is stored. */
  keeps(repository: Repository): boolean;
}

/** What was asked; the mirror's face makes it of a request. */
export interface PullRequest {
  one(name: string): string;
  optional(name: string): string | undefined;
  admit(repository: Repository): void;
  readonly signal: AbortSignal;
}

/** How far a pull has come, and at the end what it was. Sizes are bytes. */
export interface PullLine {
  readonly state: 'pulling' | 'pulled';
  readonly image: string;
  /** null until it is known. */
  readonly digest: Digest | null;
  readonly platforms: readonly string[];
  readonly blobs: { readonly done: number; readonly of: number };
  readonly bytes: { readonly done: number; readonly of: number };
  /** `held`: was in the store before. */
  readonly from: { readonly held: number; readonly peers: number; readonly upstream: number };
}

/**
 * `layerlan pull IMAGE`: takes an image into the store by the ways that a client's pull takes, so that all that holds for
 * these holds here: leases, peers, what is private, the store's bounds.
 */
export function createPull(components: PullComponents) {
  return (request: PullRequest): AsyncIterable<PullLine> => {
    const image = parseImageReference(request.one('image'));
    const platform = request.optional('platform');
    request.admit(image.repository);
    if (!components.keeps(image.repository)) {
      throw notStored(`store.keep and store.skip leave ${repositoryText(image.repository)} out`);
    }
    const wanted = platform === undefined ? thisPlatform() : parsePlatform(platform);
    return new Pull(components, image, wanted).run(request.signal);
  };
}

class Pull {
  readonly #components: PullComponents;
  readonly #image: ImageReference;
  readonly #wanted: WantedPlatform;
  #parts: ImageParts | undefined;
  #done = 0;
  readonly #from = { store: 0, peer: 0, upstream: 0 };

  constructor(components: PullComponents, image: ImageReference, wanted: WantedPlatform) {
    this.#components = components;
    this.#image = image;
    this.#wanted = wanted;
  }

  /** Says how far it is until all is there. Ends with who reads it, and with `signal`. @throws what a pull fails with */
  async *run(signal: AbortSignal): AsyncGenerator<PullLine, void> {
    const over = new AbortController();
    let isOver = false;
    const work = this.#pull(AbortSignal.any([signal, over.signal])).finally(() => {
      isOver = true;
    });
    // It is awaited below; until then a failure must not count as unhandled.
    work.catch(() => {});
    try {
      while (!isOver) {
        await soon(work, TELL_EVERY);
        if (!isOver && this.#parts !== undefined) yield this.#line('pulling');
      }
      await work;
      yield this.#line('pulled');
    } finally {
      over.abort(new Error('nobody waits for the pull any more'));
      await work.catch(() => {});
    }
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const { content, store } = this.#components;
    const { repository } = this.#image;
    this.#parts = await partsOfImage(referenceOf(this.#image), this.#wanted, async (reference) => {
      const wanted = { repository, reference, accept: MANIFEST_MEDIA_TYPES };
      const manifest = await content.getManifest(wanted, signal);
      this.#from[manifest.source] += manifest.bytes.length;
      this.#assertHeld(manifest.digest);
      return manifest;
    });
    const left = [...this.#parts.blobs];
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const lane = async () => {
      for (let blob = left.shift(); blob !== undefined; blob = left.shift()) {
        await this.#take(blob.digest, either);
        this.#done += 1;
      }
    };
    const lanes = Array.from({ length: LANES }, () =>
      lane().catch((error) => {
        // What the others are at is of no use without it.
        failed.abort(error);
        throw error;
      }),
    );
    await Promise.allSettled(lanes);
    await Promise.all(lanes);
    // Where the store is smaller than the image, its first layers have gone to make room for the last.
    for (const { digest } of [...this.#parts.manifests, ...this.#parts.blobs]) {
      if (store.find(digest) === undefined) throw notStored('the image is larger than the store has room for');
    }
  }

  async #take(digest: Digest, signal: AbortSignal): Promise<void> {
    const { content, store } = this.#components;
    const held = store.find(digest);
    if (held !== undefined) {
      this.#from.store += held.size;
      return;
    }
    const told = (source: Source, bytes: number) => {
      this.#from[source] += bytes;
    };
    const request = { repository: this.#image.repository, digest };
    const blob = await content.openBlob(request, signal, { intoStore: true, told });
    // The bytes are nobody's here; reading them is what has them taken.
    for await (const _ of blob.read(0, blob.size, signal));
    this.#assertHeld(digest);
  }

  #assertHeld(digest: Digest): void {
    const { store } = this.#components;
    if (store.find(digest) !== undefined) return;
    throw notStored(`${digest}: ${store.state().reason ?? 'it has gone already to make room'}`);
  }

  #line(state: PullLine['state']): PullLine {
    const { manifests = [], blobs = [], platforms = [] } = this.#parts ?? {};
    const of = [...manifests, ...blobs].reduce((sum, { size }) => sum + size, 0);
    const { store, peer, upstream } = this.#from;
    return {
      state,
      image: imageReferenceText(this.#image),
      digest: manifests[0]?.digest ?? null,
      platforms,
      blobs: { done: this.#done, of: blobs.length },
      bytes: { done: store + peer + upstream, of },
      from: { held: store, peers: peer, upstream },
    };
  }
}

function notStored(why: string): AgentError {
  return new AgentError('NOT_STORED', `not stored: ${why}`);
}

/** Waits for `work` to end, whichever way, at most `ms` milliseconds. */
async function soon(work: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([work.catch(() => {}), promise]);
  } finally {
    clearTimeout(timer);
  }
}
