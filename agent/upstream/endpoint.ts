import { AgentError } from '../errors.ts';
import { isRegistry, OTHER_REGISTRIES, type Repository, repositoryText } from '../oci/reference.ts';
import type { RegistryEndpoints } from './options.ts';

/** One place a registry is reached at. */
export interface Endpoint {
  /** `https://host[:port]`: where credentials belong, and nowhere else. */
  readonly origin: string;
  /** Path before `/v2/`; empty, or with a leading and no trailing slash. */
  readonly prefix: string;
  /** Whether the operator wrote it: only then may it be at a private address. */
  readonly isConfigured: boolean;
  /** Certificates in PEM that are trusted beside the usual ones. */
  readonly ca?: string;
}

/**
 * The endpoints of a repository's registry, in order.
 * @throws AgentError UPSTREAM_FAILED where the registry's name or a configured endpoint makes no URL
 */
export function endpointsOf(
  repository: Repository,
  registries: Readonly<Record<string, RegistryEndpoints>>,
): readonly [Endpoint, ...Endpoint[]] {
  const { registry } = repository;
  const configured = Object.hasOwn(registries, registry) ? registries[registry] : undefined;
  if (configured === undefined && !isRegistry(registry)) {
    throw new AgentError('UPSTREAM_FAILED', `${JSON.stringify(registry)} names no registry`);
  }
  const [first, ...others] = (configured?.endpoints ?? [`https://${registry}`]).map((text) =>
    endpointAt(text, configured !== undefined, (configured ?? registries[OTHER_REGISTRIES])?.ca),
  );
  if (first === undefined) throw new AgentError('UPSTREAM_FAILED', `registry ${registry} has no endpoints`);
  return [first, ...others];
}

function endpointAt(text: string, isConfigured: boolean, ca: string | undefined): Endpoint {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new AgentError('UPSTREAM_FAILED', `${JSON.stringify(text)} is no endpoint: an http(s) URL is needed`);
  }
  const trust = ca === undefined ? {} : { ca };
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, ''), isConfigured, ...trust };
}

/** What of a repository is asked for. */
export interface Resource {
  readonly kind: 'manifest' | 'blob' | 'tags' | 'referrers';
  /** A tag or digest; of the tags, `list`. */
  readonly reference: string;
  /** Without its question mark. */
  readonly query?: string;
}

const PATHS = { manifest: 'manifests', blob: 'blobs', tags: 'tags', referrers: 'referrers' } as const;

/** Where an endpoint has it (OCI distribution spec, "Pull", "Content Discovery"). */
export function resourceUrl(endpoint: Endpoint, repository: Repository, { kind, reference, query }: Resource): URL {
  const url = new URL(`${endpoint.origin}${endpoint.prefix}/v2/${repository.name}/${PATHS[kind]}/${reference}`);
  url.search = query ?? '';
  return url;
}

/** For logs and messages: `blob sha256:… of docker.io/library/alpine`. */
export function resourceText(repository: Repository, { kind, reference }: Resource): string {
  return `${kind} ${reference} of ${repositoryText(repository)}`;
}
