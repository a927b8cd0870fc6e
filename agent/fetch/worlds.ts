import type { Repository } from '../oci/reference.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { Manifests } from './manifests.ts';
import { nobody } from './nobody.ts';
import { Standings } from './privacy/standings.ts';
import { onlyPublic } from './published.ts';
import { Sharing } from './sharing.ts';

/** What takes content together with the same peers. */
export interface World {
  readonly components: ContentComponents;
  readonly sharing: Sharing;
  readonly manifests: Manifests;
}

/** With whom content is taken: public content with the LAN, what may be private with nobody. */
export class Worlds {
  readonly standings: Standings;
  readonly #lan: World;
  readonly #alone: World;

  /** @param stopped ends what runs on by itself */
  constructor(components: ContentComponents, init: FetchInit, stopped: AbortSignal) {
    const { standings: records = REMEMBERS_NOTHING, now = Date.now } = components;
    this.standings = new Standings({ ...components, records, now }, init.share ?? (() => 'public'), stopped);
    const { published } = components;
    const isPublic = (repository: Repository) => this.standings.isPublic(repository);
    const shared = { ...components, published: published && onlyPublic(published, isPublic) };
    this.#lan = worldOf(shared, init, stopped);
    this.#alone = worldOf({ ...shared, swarm: nobody(components.swarm), isAlone: true }, init, stopped);
  }

  /** By what is known now. */
  of(repository: Repository): World {
    return this.with(this.isAlone(repository));
  }

  /**
   * Once it has been asked whether the repository is public, where that is due and the answer comes soon.
   * @param reference of the manifest that is wanted
   */
  async decided(repository: Repository, reference: string, signal: AbortSignal): Promise<World> {
    return this.with(!(await this.standings.decide(repository, reference, signal)));
  }

  /** The one where what may be private is taken, or the other. */
  with(isAlone: boolean): World {
    return isAlone ? this.#alone : this.#lan;
  }

  /** Whether what comes from there may be for those alone who have the credentials, or is not to be shared. */
  isAlone(repository: Repository): boolean {
    return !this.standings.isShared(repository);
  }

  stop(): void {
    this.#lan.sharing.stop();
    this.#alone.sharing.stop();
  }
}

const REMEMBERS_NOTHING = { find: () => undefined, put: () => {} };

function worldOf(components: ContentComponents, init: FetchInit, stopped: AbortSignal): World {
  const sharing = new Sharing(components.swarm, init.leaseTimeout);
  return { components, sharing, manifests: new Manifests({ ...components, sharing }, init, stopped) };
}
