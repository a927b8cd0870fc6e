import type { Repository } from '../oci/reference.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { Manifests } from './manifests.ts';
import { nobody } from './nobody.ts';
import { Sharing } from './sharing.ts';

/** What takes content together with the same peers. */
export interface World {
  readonly components: ContentComponents;
  readonly sharing: Sharing;
  readonly manifests: Manifests;
}

/** With whom content is taken: public content with the LAN, what may be private with nobody. */
export class Worlds {
  readonly #components: ContentComponents;
  readonly #lan: World;
  readonly #alone: World;

  /** @param stopped ends what runs on by itself */
  constructor(components: ContentComponents, init: FetchInit, stopped: AbortSignal) {
    this.#components = components;
    this.#lan = worldOf(components, init, stopped);
    this.#alone = worldOf({ ...components, swarm: nobody(components.swarm) }, init, stopped);
  }

  of(repository: Repository): World {
    return this.with(this.mayBePrivate(repository));
  }

  /** The one where what may be private is taken, or the other. */
  with(isAlone: boolean): World {
    return isAlone ? this.#alone : this.#lan;
  }

  /** Whether what comes from there may be for those alone who have the credentials. */
  mayBePrivate(repository: Repository): boolean {
    return this.#components.upstream.mayBePrivate(repository);
  }

  stop(): void {
    this.#lan.sharing.stop();
    this.#alone.sharing.stop();
  }
}

function worldOf(components: ContentComponents, init: FetchInit, stopped: AbortSignal): World {
  const sharing = new Sharing(components.swarm, init.leaseTimeout);
  return { components, sharing, manifests: new Manifests({ ...components, sharing }, init, stopped) };
}
