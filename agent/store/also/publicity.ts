import type { Logger } from 'pino';
import type { Digest } from '../../../protocol/digest.ts';
import { MAX_MANIFEST_SIZE, vouchedBy } from '../../oci/manifest.ts';
import type { AlsoIndex } from './also-index.ts';

/** Digests known to be public; 100 bytes each. An image has some tens. */
const MAX_PUBLIC = 65_536;

export interface PublicityComponents {
  readonly index: AlsoIndex;
  readonly logger: Logger;
  /** Carries out `change`, and finds out what it means to others for this digest. */
  around(digest: Digest, change: () => void): void;
}

/**
 * Which digests are public. Whose credentials brought a file into another's store, nobody can tell by the file: it
 * counts as public when a registry named its digest to this agent without credentials, or a manifest did that is
 * public itself. A digest that is named is one, whoever holds the bytes.
 */
export class Publicity {
  readonly #components: PublicityComponents;

  constructor(components: PublicityComponents) {
    this.#components = components;
  }

  has(digest: Digest): boolean {
    return this.#components.index.isPublic(digest);
  }

  /** A registry named or gave this to somebody without credentials. */
  named(digest: Digest): void {
    this.#note([digest]);
  }

  /** The bytes of a manifest, which match its digest. */
  seen(digest: Digest, manifest: Uint8Array): void {
    if (manifest.length <= MAX_MANIFEST_SIZE && this.#has(digest)) this.#note(vouchedBy(manifest));
  }

  #has(digest: Digest): boolean {
    try {
      return this.has(digest);
    } catch {
      return false;
    }
  }

  /** Where it cannot be written, what is not known to be public stays among this host's clients. */
  #note(digests: readonly Digest[]): void {
    const { index, logger, around } = this.#components;
    try {
      for (const digest of digests) if (!index.isPublic(digest)) around(digest, () => index.notePublic(digest));
      for (const digest of index.publicBeyond(MAX_PUBLIC)) around(digest, () => index.forgetPublic(digest));
    } catch (error) {
      logger.warn({ err: error }, 'it cannot be noted what is public');
    }
  }
}
