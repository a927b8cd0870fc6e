/** What a token server is asked. */
export interface TokenRequest {
  readonly method: string;
  /** Of a GET. */
  readonly query: URLSearchParams;
  /** Of a POST. */
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
}

/** How a registry asks who is there: it checks what the real one of that shape checks. */
export interface Door {
  readonly scheme: 'bearer' | 'basic';
  /** Repositories that everybody may have. */
  isPublic(repository: string): boolean;
  /** Who is shown in by a token request: a name, `null` for anonymous; a number is the status it is refused with. */
  enter(request: TokenRequest): string | null | number;
  /** The status a request with this Authorization is refused with, at a Basic door; undefined where it may pass. */
  refuses(authorization: string | undefined): number | undefined;
}

interface Account {
  readonly username: string;
  readonly password: string;
}

const nobodyIsRefused = () => undefined;
const publicOnly = (repository: string) => repository.startsWith('library/');

/** `user:password` of a Basic header. */
function accountOf(authorization: string | undefined): Account | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/]+=*)$/.exec(authorization ?? '') ?? [];
  const [, username, password] = /^([^:]+):(.*)$/.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

function isSame(one: Account | undefined, other: Account): boolean {
  return one?.username === other.username && one.password === other.password;
}

/** Docker Hub: tokens by GET with Basic, and the account named; a wrong password is a 401 of the token server. */
export function hubDoor(account: Account): Door {
  return {
    scheme: 'bearer',
    isPublic: publicOnly,
    enter({ method, query, authorization }) {
      if (method !== 'GET' || query.get('service') === null || query.get('scope') === null) return 400;
      if (authorization === undefined) return query.has('account') ? 400 : null;
      if (!isSame(accountOf(authorization), account)) return 401;
      return query.get('account') === account.username ? account.username : 400;
    },
    refuses: nobodyIsRefused,
  };
}

/** GHCR: a token server that wants Basic for all, and answers 403 to a wrong one. */
export function ghcrDoor(account: Account): Door {
  return {
    scheme: 'bearer',
    isPublic: () => false,
    enter: ({ method, authorization }) =>
      method === 'GET' && isSame(accountOf(authorization), account) ? account.username : 403,
    refuses: nobodyIsRefused,
  };
}

/** Google's: the user says what kind of secret comes with it, an access token or a service account's key. */
export function googleDoor(account: Account): Door {
  return {
    scheme: 'bearer',
    isPublic: publicOnly,
    enter({ authorization }) {
      const shown = accountOf(authorization);
      if (authorization === undefined) return null;
      if (shown?.username !== 'oauth2accesstoken' && shown?.username !== '_json_key') return 401;
      return isSame(shown, account) ? shown.username : 401;
    },
    refuses: nobodyIsRefused,
  };
}

/** Amazon's: no tokens; Basic with the user AWS on every request, and a 403 for a password that has ended. */
export function amazonDoor(password: () => string): Door {
  return {
    scheme: 'basic',
    isPublic: () => false,
    enter: () => 404,
    refuses(authorization) {
      const shown = accountOf(authorization);
      if (shown?.username !== 'AWS') return 401;
      return shown.password === password() ? undefined : 403;
    },
  };
}

/** A registry of distribution's own: Basic on every request, 401 for what is wrong. */
export function basicDoor(account: Account): Door {
  return {
    scheme: 'basic',
    isPublic: () => false,
    enter: () => 404,
    refuses: (authorization) => (isSame(accountOf(authorization), account) ? undefined : 401),
  };
}

/** Azure's, and Docker Hub's with an identity token: OAuth 2 by POST, every field as the specification has it. */
export function identityDoor(refreshToken: string): Door {
  return {
    scheme: 'bearer',
    isPublic: publicOnly,
    enter({ method, query, form, authorization }) {
      if (method === 'GET') return authorization === undefined ? null : 401;
      const isWhole = [...query].length === 0 && ['service', 'scope', 'client_id'].every((field) => form.get(field));
      if (!isWhole || form.get('grant_type') !== 'refresh_token' || authorization !== undefined) return 400;
      return form.get('refresh_token') === refreshToken ? 'identity' : 400;
    },
    refuses: nobodyIsRefused,
  };
}
