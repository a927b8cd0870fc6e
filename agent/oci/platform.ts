import { AgentError } from '../errors.ts';

/** What an image is for, as an index says it (OCI image spec, "Image Index", `platform`). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Which of an index's platforms are wanted. */
export type WantedPlatform = Platform | 'all';

const PART = /^[a-z0-9][a-z0-9_.-]{0,31}$/;

/** What Node calls otherwise than Go, whose names images have. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mipsel: 'mipsle',
};

/** What an architecture without a variant means. */
const PLAIN_VARIANTS: Readonly<Record<string, string>> = { amd64: 'v1', arm: 'v7', arm64: 'v8' };

/**
 * Reads `linux/arm64` or `linux/arm/v7`, and `all`.
 * @throws AgentError PLATFORM_INVALID
 */
export function parsePlatform(text: string): WantedPlatform {
  if (text === 'all') return 'all';
  const [os = '', architecture = '', variant, ...rest] = text.split('/');
  const parts = [os, architecture, ...(variant === undefined ? [] : [variant])];
  if (rest.length === 0 && parts.every((part) => PART.test(part) && !part.endsWith('\n'))) {
    return { os, architecture, variant };
  }
  const shown = JSON.stringify(text.slice(0, 100));
  throw new AgentError('PLATFORM_INVALID', `${shown} is no platform: it is written linux/amd64, linux/arm/v7 or all`);
}

/** The platform of the images that this machine runs. @param arch as Node names it */
export function thisPlatform(arch: string = process.arch): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[arch] ?? arch };
}

export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/**
 * The entry of an index that a machine of this platform runs: the same operating system and architecture, and of its
 * variants the highest that is no higher than the one wanted, as `v6` runs on `v7`. Of equals the first.
 */
export function choosePlatform<Entry extends { readonly platform: Platform | undefined }>(
  entries: readonly Entry[],
  wanted: Platform,
): Entry | undefined {
  const highest = variantOf(wanted);
  let best: { readonly entry: Entry; readonly variant: string } | undefined;
  for (const entry of entries) {
    const { platform } = entry;
    if (platform?.os !== wanted.os || platform.architecture !== wanted.architecture) continue;
    const variant = variantOf(platform);
    const fits = variant === highest || (isLevel(variant) && isLevel(highest) && levelOf(variant) <= levelOf(highest));
    if (fits && (best === undefined || levelOf(variant) > levelOf(best.variant))) best = { entry, variant };
  }
  return best?.entry;
}

function variantOf({ architecture, variant }: Platform): string {
  return variant ?? PLAIN_VARIANTS[architecture] ?? '';
}

function isLevel(variant: string): boolean {
  return /^v[0-9]+$/.test(variant);
}

function levelOf(variant: string): number {
  return isLevel(variant) ? Number(variant.slice(1)) : 0;
}
