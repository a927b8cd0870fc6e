import { z } from 'zod';
import { readSecretFile } from './secret-file.ts';
import { type Credential, credentialOf, unusable } from './source.ts';

const text = z.string().optional().catch(undefined);

/** One registry's part of the file. */
const entry = z.object({ auth: text, username: text, password: text, identitytoken: text });

/** What Docker's config.json and podman's auth.json have in common; what else they hold is not looked at. */
const authFile = z.object({
  auths: z.record(z.string(), entry.catch({})).nullish(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
  credsStore: z.string().nullish(),
});

export interface AuthFile {
  readonly path: string;
  readonly auths: ReadonlyMap<string, AuthEntry>;
  /** Names of credential helpers, by registry. */
  readonly credHelpers: ReadonlyMap<string, string>;
  /** Docker's helper for all registries; empty where there is none. */
  readonly credsStore: string;
}

export type AuthEntry = z.infer<typeof entry>;

/**
 * Reads a file of credentials; undefined where there is none.
 * @throws AgentError CREDENTIALS_UNUSABLE
 */
export async function readAuthFile(path: string, what: string): Promise<AuthFile | undefined> {
  const content = await readSecretFile(path, what);
  if (content === undefined) return undefined;
  let tree: unknown;
  try {
    tree = JSON.parse(content);
  } catch {
    throw unusable(`${what} ${path} is not JSON`);
  }
  const { data } = authFile.safeParse(tree);
  if (data === undefined) throw unusable(`${what} ${path} does not have the form of such a file`);
  return {
    path,
    // Maps, not objects: "constructor" is a host name too.
    auths: new Map(Object.entries(data.auths ?? {})),
    credHelpers: new Map(Object.entries(data.credHelpers ?? {})),
    credsStore: data.credsStore ?? '',
  };
}

/**
 * The credential of an entry; undefined where it holds none, as the entries that a credential store leaves behind.
 * @throws AgentError CREDENTIALS_UNUSABLE
 */
export function credentialOfEntry(found: AuthEntry, where: string): Credential | undefined {
  if (found.identitytoken) return credentialOf({ kind: 'identity-token', token: found.identitytoken });
  if (!found.auth) {
    const { username, password } = found;
    return username && password ? credentialOf({ kind: 'password', username, password }) : undefined;
  }
  const decoded = Buffer.from(found.auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  // Docker pads the password with zeros.
  const password = decoded.slice(colon + 1).replace(/\0+$/, '');
  if (colon < 1 || password === '') throw unusable(`${where} has an auth that is not base64 of user:password`);
  return credentialOf({ kind: 'password', username: decoded.slice(0, colon), password });
}
