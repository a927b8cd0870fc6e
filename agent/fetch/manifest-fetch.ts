import { type Digest, isDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { FetchComponents, FetchInit } from './init.ts';
import { heldManifest, keepManifest } from './kept-manifests.ts';
import { ManifestHolders } from './manifest-holders.ts';
import type { ManifestTurns, Place } from './manifest-turns.ts';
import { mediaTypeOf, UNKNOWN_TYPE } from './media-type.ts';
import { digestOf, isAway, type VerifiedManifest } from './verified-manifest.ts';

/** How long a manifest is looked for on the LAN when upstream cannot be had. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/** How long peers, those who send and those who ask upstream, may hold a manifest up: as long as one stall. Milliseconds. */
const PEERS_DEADLINE = 5_000;

/** How long one look for holders may take while another agent asks upstream; most take no time at all. Milliseconds. */
const GLANCE = 20;

/** How often holders are looked for meanwhile: each 20 ms at first, later after a tenth of the time waited. Milliseconds. */
const LOOK_EVERY = { least: 20, most: 200 };

export interface ManifestFetchComponents extends FetchComponents {
  readonly turns: ManifestTurns;
}

/** A manifest to be had, and where it may be asked for upstream. */
export interface WantedManifest {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly accept: readonly string[];
}

/**
 * Takes a manifest that is not held: from a holder; else from upstream, where no other agent of the LAN is about to; else
 * from that one, once it has it.
 * @throws what upstream answers
 */
export async function fetchManifest(
  components: ManifestFetchComponents,
  init: FetchInit,
  wanted: WantedManifest,
  signal: AbortSignal,
): Promise<VerifiedManifest> {
  const until = performance.now() + PEERS_DEADLINE;
  const holders = new ManifestHolders(components, wanted.digest, until);
  const near = await holders.take(init.lookupTimeout, signal);
  if (isManifest(near)) return keep(components, init, wanted, near);
  try {
    return await fetchInTurn(components, init, wanted, holders, until, signal);
  } catch (error) {
    if (!isAway(error)) throw error;
    const late = await new ManifestHolders(components, wanted.digest, performance.now() + PEERS_DEADLINE).take(
      LOOKUP_PATIENCE,
      signal,
    );
    if (isManifest(late)) return keep(components, init, wanted, late);
    throw error;
  }
}

/**
 * A manifest by tag or digest from upstream, whoever else may want it.
 * @throws what upstream answers; AgentError UPSTREAM_MISMATCH or UPSTREAM_FAILED where that is something else
 */
export async function fetchUpstream(
  components: FetchComponents,
  { keeps }: Pick<FetchInit, 'keeps'>,
  repository: Repository,
  reference: string,
  accept: readonly string[],
  signal: AbortSignal,
): Promise<{ manifest: VerifiedManifest; isHeld: boolean; etag: string | undefined }> {
  const body = await components.upstream.getManifest(repository, reference, accept, signal);
  const claimed = isDigest(reference) ? reference : body.digest;
  const digest = digestOf(claimed, body.bytes);
  if (claimed !== undefined && digest !== claimed) {
    throw new AgentError(
      'UPSTREAM_MISMATCH',
      `upstream sent something else for ${repositoryText(repository)}@${claimed}`,
    );
  }
  const { bytes, etag } = body;
  const mediaType = mediaTypeOf(bytes, body.mediaType);
  // A tag says nothing of the bytes: a login page answers whatever is asked.
  if (mediaType === undefined && claimed === undefined) {
    throw new AgentError(
      'UPSTREAM_FAILED',
      `upstream sent something that is no manifest for ${repositoryText(repository)}:${reference}`,
    );
  }
  const manifest = { digest, mediaType: mediaType ?? UNKNOWN_TYPE, bytes, source: 'upstream' } as const;
  components.published?.named(repository, digest);
  if (keeps?.(repository) === false) return { manifest, isHeld: false, etag };
  const privateOf = components.isAlone === true ? repository.registry : undefined;
  return { manifest, isHeld: await keepManifest(components, manifest, privateOf), etag };
}

async function fetchInTurn(
  components: ManifestFetchComponents,
  init: FetchInit,
  wanted: WantedManifest,
  holders: ManifestHolders,
  until: number,
  signal: AbortSignal,
): Promise<VerifiedManifest> {
  const { repository, digest, accept } = wanted;
  // What is not kept is of no use to the others: they must not wait for it.
  const place = init.keeps?.(repository) === false ? undefined : components.turns.enter(digest);
  let isHeld = false;
  try {
    const near =
      place === undefined ? undefined : await untilTurn(components, init, wanted, place, holders, until, signal);
    if (near !== undefined) return near;
    const fetched = await fetchUpstream(components, init, repository, digest, accept, signal);
    isHeld = fetched.isHeld;
    return fetched.manifest;
  } finally {
    place?.leave(isHeld);
  }
}

/** The manifest as others get it; undefined as soon as upstream is to be asked. */
async function untilTurn(
  components: ManifestFetchComponents,
  init: FetchInit,
  wanted: WantedManifest,
  place: Place,
  holders: ManifestHolders,
  until: number,
  signal: AbortSignal,
): Promise<VerifiedManifest | undefined> {
  const since = performance.now();
  for (;;) {
    const left = until - performance.now();
    if (left <= 0 || !components.swarm.hasNeighbours) return undefined;
    // Before the look: what somebody got until this agent's turn came must be seen by it.
    const { isOurs } = place;
    const near = await holders.take(Math.min(GLANCE, left), signal);
    if (isManifest(near)) return keep(components, init, wanted, near);
    // Another repository of this agent's may have had it meanwhile.
    const held = await heldManifest(components, wanted.digest, signal);
    if (held !== undefined) return held;
    if (isOurs && near !== 'busy') return undefined;
    const now = performance.now();
    const pause = Math.min(until - now, LOOK_EVERY.most, Math.max(LOOK_EVERY.least, (now - since) / 10));
    if (isOurs === place.isOurs) await place.changed(signal, pause);
    signal.throwIfAborted();
  }
}

async function keep(
  components: FetchComponents,
  { keeps }: FetchInit,
  { repository }: WantedManifest,
  manifest: VerifiedManifest,
): Promise<VerifiedManifest> {
  if (keeps?.(repository) === false) return manifest;
  await keepManifest(components, manifest);
  return manifest;
}

function isManifest(outcome: VerifiedManifest | 'busy' | undefined): outcome is VerifiedManifest {
  return typeof outcome === 'object';
}
