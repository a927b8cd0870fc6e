import { z } from 'zod';
import { canonicalRegistry, DEFAULT_REGISTRY, isRegistry, OTHER_REGISTRIES } from '../oci/reference.ts';
import { credentials } from './credentials.ts';
import type { Surroundings } from './surroundings.ts';
import { TAGS_SHAPE } from './tags.ts';
import { endpoint, filePath, mustBe, oneOrMore, orEmpty, repositoryPatterns, section } from './values.ts';

/** Docker Hub's registry is not at the name that its images go by. */
const DOCKER_HUB = 'https://registry-1.docker.io';

/** What one of `registries` may hold. */
export function registryShape(around: Surroundings) {
  return {
    /**
     * Origins to try in turn; http:// is allowed where written.
     * @default for docker.io https://registry-1.docker.io, else https:// and the registry's name
     */
    endpoints: oneOrMore(endpoint()).optional(),
    /**
     * Where the credentials come from that it is shown: any client of this host then pulls with them.
     * @default null
     */
    credentials: credentials(around).prefault(null),
    /**
     * PEM file with certificates to trust beside the usual ones.
     * @default null
     */
    ca: filePath(around).nullable().default(null),
    /**
     * Repositories that may be pulled; `*` stands for anything.
     * @default ["*"]
     */
    allow: repositoryPatterns().default(() => ['*']),
    /**
     * Repositories that may not be, whatever `allow` says.
     * @default []
     */
    deny: repositoryPatterns().default(() => []),
    /** How long what a tag means is not asked again. */
    tags: section(TAGS_SHAPE),
    /**
     * What of it peers may have: what is public, everything, or nothing.
     * @default public
     */
    share: z.enum(['public', 'all', 'none'], mustBe('public, all or none')).default('public'),
  };
}

/**
 * Registries by name in lower case, each with its endpoints; what holds for the others stands under `*`, unless only
 * those listed may be used: then nothing does.
 * @default docker.io and all others
 */
export function registries(around: Surroundings) {
  const registry = z.strictObject(registryShape(around), mustBe('a map of keys'));
  // Nobody's credentials are shown to a registry that nobody wrote.
  const others = registry.omit({ endpoints: true, credentials: true });
  const listed = z.preprocess(orEmpty, registry);
  const shape = {
    /**
     * Whether registries that do not stand in the file are refused, docker.io among them.
     * @default false
     */
    only: z.boolean(mustBe('true or false')).default(false),
    [OTHER_REGISTRIES]: z.preprocess(orEmpty, others).prefault({}),
  };
  return z
    .preprocess(orEmpty, z.object(shape, mustBe('a map of registries')).catchall(listed))
    .superRefine(({ only, [OTHER_REGISTRIES]: _, ...byName }, context) => {
      for (const name of Object.keys(byName)) {
        const message = nameProblem(name, Object.keys(byName));
        if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
      }
      if (!only || Object.keys(byName).length > 0) return;
      const message = 'leaves no registry: list those that may be used, docker.io too';
      context.addIssue({ code: 'custom', path: ['only'], message });
    })
    .transform(({ only, [OTHER_REGISTRIES]: rest, ...byName }) => {
      const named = Object.entries(byName).map(([name, one]) => {
        const key = name.toLowerCase();
        return [key, { ...one, endpoints: one.endpoints ?? [homeOf(key)] }] as const;
      });
      if (only) return new Map(named);
      const hub = registry.parse({});
      // A Map, not an object: "constructor" is a host name too.
      return new Map([
        [DEFAULT_REGISTRY, { ...hub, endpoints: [DOCKER_HUB] }],
        ...named,
        [OTHER_REGISTRIES, { ...rest, credentials: null, endpoints: [] }],
      ]);
    });
}

/** What holds for the tags of a registry: its own settings, else those of all that are not listed, else the defaults. */
export function tagSettings(registries: ReadonlyMap<string, { tags: Tags }>, registry: string): Tags {
  return (registries.get(registry) ?? registries.get(OTHER_REGISTRIES))?.tags ?? z.object(TAGS_SHAPE).parse({});
}

/** What of a registry peers may have: by its own settings, else those of all that are not listed, else nothing. */
export function shareOf<Share>(registries: ReadonlyMap<string, { share: Share }>, registry: string): Share | 'none' {
  return (registries.get(registry) ?? registries.get(OTHER_REGISTRIES))?.share ?? 'none';
}

type Tags = z.output<ReturnType<typeof z.object<typeof TAGS_SHAPE>>>;

function nameProblem(name: string, all: readonly string[]): string | undefined {
  // A port that is none, or 10.0.0.256: no request could ever reach it.
  if (!isRegistry(name) || !URL.canParse(`https://${name}`)) return 'must be a registry’s host name';
  const lower = name.toLowerCase();
  // Its rules and its login would be nobody's.
  if (canonicalRegistry(name) !== lower) return `is Docker Hub, which is ${canonicalRegistry(name)} here`;
  const isFirst = all.find((other) => other.toLowerCase() === lower) === name;
  return isFirst ? undefined : 'stands there twice: host names know no case';
}

function homeOf(registry: string): string {
  return registry === DEFAULT_REGISTRY ? DOCKER_HUB : `https://${registry}`;
}
