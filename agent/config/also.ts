import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { absolutePath, type Surroundings } from './surroundings.ts';

/** Something else on the host that holds content. */
export interface AlsoEntry {
  readonly kind: 'containerd' | 'oci';
  readonly path: string;
  readonly share: 'public' | 'all';
}

const KINDS = ['containerd', 'oci'] as const;

/** What may stand in an entry. */
const KEYS: readonly string[] = [...KINDS, 'share'];

const FORMS = 'must be {containerd: PATH} or {oci: DIRECTORY}, with share: public or all beside it';

/** Directories of others whose content is served. */
export function alsoHeld(around: Surroundings) {
  const entry = z.unknown().transform((value, context): AlsoEntry => {
    const refuse = (message: string): never => {
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    };
    const given = z.record(z.string(), z.unknown()).safeParse(value).data;
    if (given === undefined) return refuse(FORMS);
    const unknown = Object.keys(given).find((key) => !KEYS.includes(key));
    if (unknown !== undefined) return refuse(`${FORMS}; ${unknown} is unknown`);
    const [kind, ...others] = KINDS.filter((each) => each in given);
    if (kind === undefined || others.length > 0) return refuse(FORMS);
    const { [kind]: path, share = 'public' } = given;
    if (share !== 'public' && share !== 'all') return refuse('must have share: public or all');
    if (typeof path !== 'string' || !(isAbsolute(path) || path.startsWith('~/'))) {
      return refuse(`must name ${kind}’s directory by an absolute path`);
    }
    return { kind, path: absolutePath(path, around), share };
  });
  return z.array(entry, { error: `must be a list, each of which ${FORMS}` }).superRefine((entries, context) => {
    const paths = entries.map(({ path }) => path);
    const again = paths.findIndex((path, index) => paths.indexOf(path) < index);
    if (again < 0) return;
    context.addIssue({ code: 'custom', path: [again], message: 'names a directory that stands there already' });
  });
}

/** A store that is listed in its own `also` would be served twice. */
export function isElsewhere(
  { path, also }: { readonly path: string; readonly also: readonly AlsoEntry[] },
  context: z.RefinementCtx,
): void {
  const index = also.findIndex((entry) => entry.path === path);
  if (index >= 0) context.addIssue({ code: 'custom', path: ['also', index], message: 'is store.path itself' });
}
