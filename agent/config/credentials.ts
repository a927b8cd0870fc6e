import { z } from 'zod';
import { absolutePath, type Surroundings } from './surroundings.ts';

type Credentials =
  | { readonly kind: 'docker-config' | 'podman-auth' }
  | { readonly kind: 'password-file'; readonly username: string; readonly passwordFile: string }
  | { readonly kind: 'password-env'; readonly username: string; readonly passwordEnv: string };

const FORMS = 'must be docker-config, podman-auth, {username, passwordFile} or {username, passwordEnv}';

const file = z.strictObject({ username: z.string(), passwordFile: z.string().min(1) });
const variable = z.strictObject({ username: z.string(), passwordEnv: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) });

/**
 * Where a registry's credentials come from; null for nowhere. No message repeats what was given: somebody may have
 * written the password itself.
 */
export function credentials(around: Surroundings) {
  return z.unknown().transform((value, context): Credentials | null => {
    const refuse = (message: string): never => {
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    };
    if (value === null || value === undefined) return null;
    if (value === 'docker-config' || value === 'podman-auth') return { kind: value };
    const given = z.union([file, variable]).safeParse(value).data;
    if (given === undefined) return refuse(FORMS);
    const { username } = given;
    // It would end at the colon (RFC 7617).
    if (username === '' || username.includes(':')) return refuse('must have a username, without a colon');
    if ('passwordEnv' in given) return { kind: 'password-env', username, passwordEnv: given.passwordEnv };
    return { kind: 'password-file', username, passwordFile: absolutePath(given.passwordFile, around) };
  });
}
