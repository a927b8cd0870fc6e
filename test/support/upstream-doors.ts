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
  /** What a Bearer challenge calls the registry, and a token request has to. */
  readonly service: string;
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
const SCOPE = /^repository:([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):pull$/;

/** The one repository that a token is wanted for, to pull; undefined where the request does not say so in full. */
function repositoryOf(fields: URLSearchParams, service: string): string | undefined {
  const [asked, ...services] = fields.getAll('service');
  const [scope = '', ...scopes] = fields.getAll('scope');
  if (asked !== service || services.length > 0 || scopes.length > 0) return undefined;
  return SCOPE.exec(scope)?.[1];
}

/** `user:password` of a Basic header. */
function accountOf(authorization: string | undefined): Account | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/]+=*)$/.exec(authorization ?? '') ?? [];
  const [, username, password] = /^([^:]+):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

function isSame(one: Account | undefined, other: Account): boolean {
  return one?.username === other.username && one.password === other.password;
}

/** Docker Hub: tokens by GET with Basic, and the account named; a wrong password is a 401 of the token server. */
export function hubDoor(account: Account): Door {
  const service = 'registry.docker.io';
  return {
    scheme: 'bearer',
    service,
    isPublic: publicOnly,
    enter({ method, query, authorization }) {
      if (method !== 'GET' || repositoryOf(query, service) === undefined) return 400;
      if (authorization === undefined) return query.has('account') ? 400 : null;
      if (!isSame(accountOf(authorization), account)) return 401;
      return query.get('account') === account.username ? account.username : 400;
    },
    refuses: nobodyIsRefused,
  };
}

/** What GitHub's access tokens begin with: classic, fine-grained, of an app's user, of an action. */
const GITHUB_TOKEN = /^(?:ghp|github_pat|ghu|gho|ghs)_./;

/** GHCR: who shows nobody gets a token for what is public and 401 for the rest; a wrong access token is a 403. */
export function ghcrDoor(account: Account): Door {
  const service = 'ghcr.io';
  return {
    scheme: 'bearer',
    service,
    isPublic: publicOnly,
    enter({ method, query, authorization }) {
      const repository = repositoryOf(query, service);
      if (method !== 'GET' || repository === undefined) return 400;
      if (authorization === undefined) return publicOnly(repository) ? null : 401;
      const shown = accountOf(authorization);
      return GITHUB_TOKEN.test(shown?.password ?? '') && isSame(shown, account) ? account.username : 403;
    },
    refuses: nobodyIsRefused,
  };
}

/** The kinds of secret that Google takes: each has a user of its own, and a shape. */
const GOOGLE_SECRETS: Readonly<Record<string, (secret: string) => boolean>> = {
  oauth2accesstoken: (secret) => /^ya29\../.test(secret),
  _json_key: isServiceAccount,
  _json_key_base64: (secret) => isServiceAccount(Buffer.from(secret, 'base64').toString('utf8')),
};

function isServiceAccount(key: string): boolean {
  try {
    const { type, private_key: secret } = JSON.parse(key);
    return type === 'service_account' && typeof secret === 'string';
  } catch {
    return false;
  }
}

/** Google's: the user says what kind of secret comes with it; 401 for whatever does not open the repository. */
export function googleDoor(account: Account): Door {
  const service = 'gcr.io';
  return {
    scheme: 'bearer',
    service,
    isPublic: publicOnly,
    enter({ method, query, authorization }) {
      const repository = repositoryOf(query, service);
      if (method !== 'GET' || repository === undefined) return 400;
      if (authorization === undefined) return publicOnly(repository) ? null : 401;
      const shown = accountOf(authorization);
      const isShaped = shown !== undefined && GOOGLE_SECRETS[shown.username]?.(shown.password) === true;
      return isShaped && isSame(shown, account) ? account.username : 401;
    },
    refuses: nobodyIsRefused,
  };
}

/** Amazon's: no tokens; Basic with the user AWS on every request, and a 403 for a password that has ended. */
export function amazonDoor(password: () => string): Door {
  return {
    scheme: 'basic',
    service: '',
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
    service: '',
    isPublic: () => false,
    enter: () => 404,
    refuses: (authorization) => (isSame(accountOf(authorization), account) ? undefined : 401),
  };
}

/** Azure's, and Docker Hub's with an identity token: OAuth 2 by POST, every field as the specification has it. */
export function identityDoor(refreshToken: string): Door {
  const service = 'ours.azurecr.io';
  return {
    scheme: 'bearer',
    service,
    isPublic: publicOnly,
    enter({ method, query, form, authorization }) {
      if (method === 'GET')
        return authorization === undefined && repositoryOf(query, service) !== undefined ? null : 401;
      const isWhole = query.size === 0 && repositoryOf(form, service) !== undefined && form.get('client_id');
      if (!isWhole || form.get('grant_type') !== 'refresh_token' || authorization !== undefined) return 400;
      return form.get('refresh_token') === refreshToken ? 'identity' : 400;
    },
    refuses: nobodyIsRefused,
  };
}
