import { isBlobSize } from '../../protocol/chunks.ts';
import { type Digest, parseDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { TaggedImage } from '../oci/image.ts';
import { imageReferenceText, parseImageReference } from '../oci/image-reference.ts';
import type { Repository } from '../oci/reference.ts';
import type { Owner } from './owner.ts';

/** Takes in what somebody brings. */
export interface ImportContent {
  importBlob(
    blob: { repository: Repository; digest: Digest; size: number; mediaType: string | undefined; isShared: boolean },
    body: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ held: boolean }>;
  importTag(image: TaggedImage, digest: Digest, signal: AbortSignal): Promise<Digest | undefined>;
}

export interface ImportComponents {
  readonly content: ImportContent;
  readonly store: { find(digest: Digest): object | undefined };
  readonly owner: Owner;
}

/** What was asked; the mirror's face makes it of a request. */
export interface ImportRequest {
  one(name: string): string;
  optional(name: string): string | undefined;
  flag(name: string): boolean;
  admit(repository: Repository): void;
  readonly ownerKey: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

/** What `layerlan import` asks of the agent: one blob after the other, then the name of the whole. */
export function createImport({ content, store, owner }: ImportComponents) {
  const begin = ({ one, admit, ownerKey }: ImportRequest) => {
    owner.assert(ownerKey);
    const image = parseImageReference(one('image'));
    admit(image.repository);
    const digest = parseDigest(one('digest'));
    if (digest === undefined) throw new AgentError('DIGEST_INVALID', 'The digest is no sha256 or sha512 digest.');
    return { image, digest };
  };
  return {
    /** Whether a blob is held, so that it need not be sent. */
    'import-held': async (request: ImportRequest) => ({ held: store.find(begin(request).digest) !== undefined }),

    /** Takes in one blob, which is the request's body. */
    'import-blob': async (request: ImportRequest) => {
      const { image, digest } = begin(request);
      const size = Number(request.one('size'));
      if (!isBlobSize(size)) throw new AgentError('REQUEST_INVALID', 'The size is no number of bytes.');
      const mediaType = request.optional('mediaType');
      const blob = { repository: image.repository, digest, size, mediaType, isShared: request.flag('share') };
      return await content.importBlob(blob, request.body, request.signal);
    },

    /** Records what the tag is, once all of the image is held. */
    'import-tag': async (request: ImportRequest) => {
      const { image, digest } = begin(request);
      const { repository, tag } = image;
      if (tag === undefined) throw new AgentError('IMAGE_INVALID', `${imageReferenceText(image)} names no tag`);
      const was = await content.importTag({ repository, tag }, digest, request.signal);
      return { image: imageReferenceText(image), digest, was: was ?? null };
    },
  };
}
