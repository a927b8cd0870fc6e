/** One challenge of a WWW-Authenticate header (RFC 9110 §11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By name in lower case; of a name given twice, the first. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** The most challenges and parameters of one header that are looked at: beyond this it is nonsense. */
const MAX_PARTS = 64;

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const SEPARATORS = /[\s,]*/y;
const BLANKS = /[ \t]*/y;
const EQUALS = /[ \t]*=[ \t]*/y;
const QUOTED = /"((?:[^"\\]|\\[\s\S])*)"/y;
// What registries leave unquoted goes beyond a token (`realm=https://host/token`).
const UNQUOTED = /[^\s,"]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;

/**
 * The challenges in one or several WWW-Authenticate headers, in order. What is malformed is passed over: a challenge
 * that cannot be read is one that is not there.
 */
export function parseChallenges(headers: string | readonly string[] | undefined): Challenge[] {
  return [headers ?? []].flat().flatMap(parseHeader);
}

function parseHeader(text: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (let parts = 0; parts < MAX_PARTS; parts++) {
    take(SEPARATORS);
    const name = take(TOKEN)?.[0];
    if (name === undefined) {
      // Nothing that could begin a parameter or a scheme: go on behind the next comma, if there is one.
      const comma = text.indexOf(',', at);
      if (comma === -1) break;
      at = comma + 1;
      continue;
    }
    if (take(EQUALS) !== null) {
      const value = take(QUOTED)?.[1]?.replace(/\\([\s\S])/g, '$1') ?? take(UNQUOTED)?.[0];
      const parameters = challenges.at(-1)?.parameters;
      const key = name.toLowerCase();
      if (value !== undefined && parameters !== undefined && !parameters.has(key)) parameters.set(key, value);
      continue;
    }
    challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    take(BLANKS);
    // `Negotiate dGVzdA==`: one value without a name. `Bearer realm="…"` is not taken for one: no comma follows.
    take(TOKEN68);
  }
  return challenges;
}

/** Where to get a Bearer token (distribution's token authentication). */
export interface BearerChallenge {
  readonly realm: string;
  readonly service: string | undefined;
  readonly scope: string | undefined;
}

/** The first Bearer challenge that has a realm. */
export function bearerChallenge(headers: string | readonly string[] | undefined): BearerChallenge | undefined {
  for (const { scheme, parameters } of parseChallenges(headers)) {
    const realm = parameters.get('realm');
    if (scheme === 'bearer' && realm !== undefined) {
      return { realm, service: parameters.get('service'), scope: parameters.get('scope') };
    }
  }
  return undefined;
}

/** Whether a Basic challenge is among them (RFC 7617). */
export function hasBasicChallenge(headers: string | readonly string[] | undefined): boolean {
  return parseChallenges(headers).some(({ scheme }) => scheme === 'basic');
}
