import { OTHER_REGISTRIES } from '../../oci/reference.ts';
import type { RegistryEndpoints } from '../../upstream/options.ts';
import { printable } from '../printable.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import type { Probe, Prober, Reached } from './probe.ts';

/** Probes under way at once: a fleet may list dozens of registries. */
const AT_ONCE = 16;

/** What each endpoint of each registry answers; nothing of those that are only known by what holds for all others. */
export async function probeAll(
  registries: Readonly<Record<string, RegistryEndpoints>>,
  prober: Prober,
): Promise<Map<string, Probe[]>> {
  const named = Object.entries(registries).filter(([name]) => name !== OTHER_REGISTRIES);
  const waiting = named
    .flatMap(([name, { endpoints, ca }]) => endpoints.map((origin) => ({ name, origin, ca })))
    .values();
  const found = new Map(named.map(([name]) => [name, [] as Probe[]]));
  const work = async () => {
    for (const { name, origin, ca } of waiting) found.get(name)?.push(await prober.probe(origin, ca));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found;
}

/** A registry is reached where one of its endpoints is. */
export function judgeUpstream(registry: string, probes: readonly Probe[]): Finding {
  const name = `upstream ${registry}`;
  const problems = probes.flatMap((probe) => problemOf(probe) ?? []);
  const [first] = problems;
  if (first === undefined) return ok(name, `answers: ${probes.map(({ origin }) => origin).join(', ')}`);
  const what = printable(problems.map(({ what }) => what).join('; '));
  return problems.length < probes.length ? warn(name, what, first.advice) : fail(name, what, first.advice);
}

/** Whether an endpoint can be pulled from, as far as it is asked without credentials. */
export function isReached(probe: Probe): boolean {
  return problemOf(probe) === undefined;
}

interface Problem {
  readonly what: string;
  readonly advice: string;
}

const REACH = 'let this host out to it (firewall, DNS, proxy), or set registries.<name>.endpoints';
const IN_THE_WAY = 'something in between answers in its place: a proxy, or a portal that wants a login';

function problemOf({ origin, registry, token }: Probe): Problem | undefined {
  if (typeof registry === 'string') return { what: `${origin}: ${registry}`, advice: REACH };
  const problem = answerProblem(registry);
  if (problem !== undefined) return { what: `${origin}/v2/ ${problem.what}`, advice: problem.advice };
  if (token === undefined) return undefined;
  const at = `token server ${token.host} of ${origin}`;
  if (typeof token.answer === 'string') return { what: `${at}: ${token.answer}`, advice: REACH };
  if (token.answer.status === 407) return { what: `${at} answers 407`, advice: IN_THE_WAY };
  if (token.answer.status < 500) return undefined;
  return { what: `${at} answers ${token.answer.status}`, advice: 'it is there and broken: wait, or ask who runs it' };
}

/** `/v2/` answers 200 or 401 (OCI distribution spec, "Determining support"). */
function answerProblem({ status, contentType }: Reached): Problem | undefined {
  if (status === 407) return { what: 'answers 407', advice: IN_THE_WAY };
  if (contentType === 'text/html') return { what: `answers ${status} with a web page`, advice: IN_THE_WAY };
  // A rate limit is the registry's own voice.
  if (status === 200 || status === 401 || status === 403 || status === 429) return undefined;
  if (status >= 500) return { what: `answers ${status}`, advice: 'it is there and broken: wait, or ask who runs it' };
  return { what: `answers ${status}, as no registry does`, advice: 'see that the endpoint is a registry’s' };
}
