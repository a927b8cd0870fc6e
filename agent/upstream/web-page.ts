import { AgentError } from '../errors.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** The media type in a Content-Type, without its parameters; undefined where there is none. */
export function mediaTypeIn(headers: Headers): string | undefined {
  return headers['content-type']?.toString().split(';')[0]?.trim() || undefined;
}

/** What a login page, or a proxy that refuses, answers in a registry's place; with a 200, more often than not. */
export function isWebPage(headers: Headers): boolean {
  return mediaTypeIn(headers)?.toLowerCase() === 'text/html';
}

/** @param what was asked for */
export function webPage(host: string, what: string): AgentError {
  const advice = 'a login page or a proxy may be in between';
  return new AgentError('UPSTREAM_FAILED', `${host} answered with a web page when asked for ${what}: ${advice}`);
}
