import type { Digest } from '../../protocol/digest.ts';
import { type Mark, markStatement } from '../../protocol/mark.ts';
import type { Swarm } from './ports.ts';

/** Who vouches for the chunks of one blob, so that whoever takes them from here knows whom to blame. */
export class Marks {
  readonly #swarm: Pick<Swarm, 'peerId' | 'sign' | 'verify'>;
  readonly #digest: Digest;
  readonly #size: number;
  readonly #marks = new Map<number, Mark>();
  /** Chunks this agent vouches for: signed when first asked for. */
  readonly #own = new Map<number, Uint8Array>();

  constructor(swarm: Pick<Swarm, 'peerId' | 'sign' | 'verify'>, digest: Digest, size: number) {
    this.#swarm = swarm;
    this.#digest = digest;
    this.#size = size;
  }

  /** This agent took the chunk from upstream. */
  vouch(index: number, sha256: Uint8Array): void {
    this.#marks.delete(index);
    this.#own.set(index, sha256);
  }

  /** The whole has matched: this agent vouches for a chunk of it that came without a mark, by a chunk map that may be forgotten. */
  matched(index: number, sha256: Uint8Array): void {
    if (!this.#marks.has(index)) this.#own.set(index, sha256);
  }

  /** Whether the mark is its signer's for just this chunk. */
  isTrue(index: number, sha256: Uint8Array, { signer, signature }: Mark): boolean {
    return this.#swarm.verify(signer, markStatement(this.#digest, this.#size, index, sha256), signature);
  }

  /** The chunk came with this mark, which is true. */
  keep(index: number, mark: Mark): void {
    this.#marks.set(index, mark);
  }

  get(index: number): Mark | undefined {
    const kept = this.#marks.get(index);
    const sha256 = this.#own.get(index);
    if (kept !== undefined || sha256 === undefined) return kept;
    const signature = this.#swarm.sign(markStatement(this.#digest, this.#size, index, sha256));
    const mark = { signer: this.#swarm.peerId, signature };
    this.#marks.set(index, mark);
    return mark;
  }

  /** Whether this agent saw the chunk upstream itself. */
  isOwn(index: number): boolean {
    return this.#own.has(index);
  }

  /** Who took the chunk from upstream; undefined where that was this agent, or a chunk map vouches for it. */
  signerOf(index: number): string | undefined {
    return this.#own.has(index) ? undefined : this.#marks.get(index)?.signer;
  }

  forget(index: number): void {
    this.#marks.delete(index);
    this.#own.delete(index);
  }
}
