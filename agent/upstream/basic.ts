import type { Secret } from './credentials/source.ts';

/** The Authorization header of a user and a password (RFC 7617, in UTF-8). */
export function basicHeader({ username, password }: Extract<Secret, { kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
