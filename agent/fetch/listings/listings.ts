import { type Repository, repositoryText } from '../../oci/reference.ts';
import type { Upstream } from '../ports.ts';
import { SingleFlight } from '../single-flight.ts';
import { type Referrers, type ReferrersRequest, referrersOf } from './referrers.ts';
import { type TagsPart, type TagsRange, tagsIn } from './tag-list.ts';

export interface TagsRequest extends TagsRange {
  readonly repository: Repository;
}

/** What a repository has, as upstream tells it now: nothing is remembered, but who asks at once asks once. */
export class Listings {
  readonly #upstream: Upstream;
  readonly #tags: SingleFlight<TagsPart>;
  readonly #referrers: SingleFlight<Referrers>;

  /** @param stopped ends everything */
  constructor(upstream: Upstream, stopped: AbortSignal) {
    this.#upstream = upstream;
    this.#tags = new SingleFlight(stopped);
    this.#referrers = new SingleFlight(stopped);
  }

  /** @throws AgentError UPSTREAM_… or NAME_UNKNOWN */
  tags({ repository, n, last }: TagsRequest, signal: AbortSignal): Promise<TagsPart> {
    return this.#tags.run(JSON.stringify([repositoryText(repository), n, last]), signal, (inner) =>
      tagsIn((query) => this.#upstream.listTags(repository, query, inner), { n, last }),
    );
  }

  /** @throws AgentError UPSTREAM_… */
  referrers(request: ReferrersRequest, signal: AbortSignal): Promise<Referrers> {
    const { repository, digest, artifactType } = request;
    return this.#referrers.run(JSON.stringify([repositoryText(repository), digest, artifactType]), signal, (inner) =>
      referrersOf(this.#upstream, request, inner),
    );
  }
}
