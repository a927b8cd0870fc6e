import { multiaddr } from '@multiformats/multiaddr';
import { z } from 'zod';
import { parseAddress } from '../address.ts';
import { keepingPatternProblem } from '../oci/keeping.ts';
import { isRepositoryPattern } from '../oci/pattern.ts';
import { parseProxy } from '../proxy.ts';
import { parseDuration } from './duration.ts';
import { parseSize } from './size.ts';
import { absolutePath, type Surroundings } from './surroundings.ts';

/** Milliseconds in a day: timers overflow at 25 of them. */
const DAY = 86_400_000;

interface DurationBounds {
  /** Milliseconds. */
  readonly least?: number;
  /** Milliseconds. */
  readonly most?: number;
}

/** A section that is not there, or whose keys are all commented out. */
export function orEmpty(value: unknown): unknown {
  return value ?? {};
}

/** A path; an absolute one comes out. */
export function filePath(around: Surroundings) {
  return z
    .string(mustBe('a path'))
    .min(1, mustBe('a path'))
    .transform((text) => absolutePath(text, around));
}

/** A duration such as `100ms`, `5s` or `24h`; milliseconds come out. */
export function duration({ least = 0, most = DAY }: DurationBounds = {}) {
  return z.unknown().transform((value, context) => {
    const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
    if (parsed === undefined) return complain(context, 'must be a duration with its unit: 100ms, 5s, 10m, 24h or 7d');
    if (parsed < least) return complain(context, `must be at least ${least}ms`);
    if (parsed > most) return complain(context, `must be at most ${most / DAY}d`);
    return parsed;
  });
}

/** A size such as `20GiB`, `500MB` or `1000000`; bytes come out. @param least as the message names it */
export function size(least = '0B') {
  return z.unknown().transform((value, context) => readSize(value, least, '', context));
}

/** A size, or `auto` for what the agent works out itself; null comes out for that. */
export function sizeOrAuto(least: string) {
  return z
    .unknown()
    .transform((value, context) => (value === 'auto' ? null : readSize(value, least, 'auto or ', context)));
}

function readSize(value: unknown, least: string, or: string, context: z.RefinementCtx): number {
  const bytes = typeof value === 'number' ? value : typeof value === 'string' ? parseSize(value) : undefined;
  if (bytes === undefined || !Number.isSafeInteger(bytes) || bytes < 0) {
    return complain(context, `must be ${or}a size in bytes: 20GiB, 500MB or 1000000`);
  }
  if (bytes < parseSize(least)!) return complain(context, `must be at least ${least}`);
  return bytes;
}

/** `host:port`. */
export function address() {
  return z.string(mustBe('a host:port such as 127.0.0.1:5055')).refine((text) => parseAddress(text) !== undefined, {
    error: 'must be a host:port such as 127.0.0.1:5055 or [::1]:5055',
  });
}

/** A host name or IP address without a port, as it stands in a Host header; lower case and without brackets comes out. */
export function hostName() {
  return z.unknown().transform((value, context) => {
    const bare = typeof value === 'string' ? value.replace(/^\[(.*)\]$/, '$1') : '';
    const text = bare.includes(':') ? `[${bare}]:0` : `${bare}:0`;
    const host = parseAddress(text)?.host.toLowerCase();
    return host ?? complain(context, 'must be a host name without a port, such as mirror.lan');
  });
}

/** One or a list of them; a list comes out. */
export function oneOrMore<T extends z.ZodType>(item: T) {
  return z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(item, mustBe('a list')).min(1, { error: 'must hold at least one' }),
  );
}

const HOST_PROTOCOLS = ['ip4', 'ip6', 'dns', 'dns4', 'dns6'];

/** A multiaddr over TCP; `/p2p/<id>` may follow where `allowPeer`. */
export function tcpMultiaddr(example: string, { allowPeer }: { allowPeer: boolean }) {
  return z.string(mustBe(`a multiaddr such as ${example}`)).superRefine((text, context) => {
    const problem = multiaddrProblem(text, allowPeer);
    if (problem !== undefined) complain(context, `${problem}; a multiaddr looks like ${example}`);
  });
}

function multiaddrProblem(text: string, allowPeer: boolean): string | undefined {
  let names: string[];
  try {
    names = multiaddr(text)
      .getComponents()
      .map(({ name }) => name);
  } catch {
    return 'is not a multiaddr';
  }
  const [host, transport, ...rest] = names;
  if (!HOST_PROTOCOLS.includes(host ?? '')) return 'must begin with an address or a host name';
  if (transport !== 'tcp') return 'must be over tcp';
  if (rest.length === 0 || (allowPeer && rest.length === 1 && rest[0] === 'p2p')) return undefined;
  return `must end after ${allowPeer ? 'the port or the peer id' : 'the port'}`;
}

/** Where a registry is reached: scheme, host and port. The origin comes out, without a slash. */
export function endpoint() {
  return z.unknown().transform((value, context) => {
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
      return complain(context, 'must be an https:// or http:// URL');
    }
    // The message must not repeat it: it may be a password.
    if (url.username !== '' || url.password !== '') return complain(context, 'must not hold a user or a password');
    if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
      return complain(context, 'must be a scheme, a host and a port, nothing more');
    }
    return url.origin;
  });
}

/** Where a proxy is reached. It may hold a password, which no message repeats. */
export function proxy() {
  const what = 'an http:// URL of a proxy with nothing behind its port; a password’s signs must be percent-encoded';
  return z.string(mustBe(what)).refine((text) => parseProxy(text) !== undefined, { error: `must be ${what}` });
}

/** Patterns of repository names. */
export function repositoryPatterns() {
  const what = 'a repository pattern such as library/*, in lower case and without a tag';
  const pattern = z.string(mustBe(what)).refine(isRepositoryPattern, { error: `must be ${what}` });
  return z.array(pattern, mustBe('a list of repository patterns'));
}

/** Patterns of repositories with their registries. */
export function keepingPatterns() {
  const what = 'a pattern such as docker.io/library/* or ghcr.io/owner/*';
  const pattern = z.string(mustBe(what)).superRefine((text, context) => {
    const problem = keepingPatternProblem(text);
    if (problem !== undefined) complain(context, problem);
  });
  return z.array(pattern, mustBe('a list of patterns such as docker.io/library/*'));
}

/** A message in place of zod's for a value of the wrong type, or for none. */
export function mustBe(what: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) => (input === undefined ? 'is missing' : `must be ${what}`),
  };
}

function complain(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/** A section that is not there, or whose keys are all commented out, has its defaults. */
export function section<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(orEmpty, z.strictObject(shape, mustBe('a map of keys'))).prefault({});
}
