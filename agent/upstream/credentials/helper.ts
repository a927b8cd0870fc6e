import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { orAborted } from '../abort.ts';
import { type RunInit, runHelper } from './run-helper.ts';
import { type Credential, credentialOf, unusable } from './source.ts';

/** It becomes part of a program's name, and must not become a path or an option. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** An answer is used for so long: each takes a process. Milliseconds. */
const KEPT = 300_000;

/** One younger than this is not asked for again, even where it was refused; nor is a failure. Milliseconds. */
const YOUNG = 30_000;

/** Answers kept at once, one a registry. */
const MAX_ANSWERS = 256;

/** What a helper writes for the user where the secret is an identity token. */
const TOKEN_USER = '<token>';

const answer = z.object({ Username: z.string(), Secret: z.string().min(1) });

/** Programs that know credentials: Docker's `docker-credential-<name>`. */
export interface Helpers {
  /**
   * What helper `name` has for `server`.
   * @throws AgentError CREDENTIALS_UNUSABLE; the signal's reason
   */
  get(
    name: string,
    server: string,
    known: { readonly refused: Credential | undefined },
    signal: AbortSignal,
  ): Promise<Credential>;
}

export interface HelpersInit extends RunInit {
  /** Milliseconds, never going back. @default performance.now */
  readonly now?: () => number;
}

/** Runs helpers, each for a registry one at a time, and keeps their answers for a while. */
export function createHelpers({ now = () => performance.now(), ...run }: HelpersInit): Helpers {
  const answers = new LRUCache<string, { at: number; isSettled: boolean; outcome: Promise<Credential> }>({
    max: MAX_ANSWERS,
  });
  return {
    get(name, server, { refused }, signal) {
      if (!NAME.test(name))
        throw unusable('the name of a credential helper may hold letters, digits, ".", "_" and "-" only');
      const key = `${name} ${server}`;
      const known = answers.get(key);
      const age = known === undefined ? Number.POSITIVE_INFINITY : now() - known.at;
      const isFresh = age < (refused === undefined ? KEPT : YOUNG);
      // One at a time: a helper may hold a lock, or open a window.
      if (known !== undefined && (!known.isSettled || isFresh)) return orAborted(known.outcome, signal);
      const outcome = runHelper(name, server, run).then((text) => parsed(text, name, server));
      const entry = { at: now(), isSettled: false, outcome };
      answers.set(key, entry);
      outcome.then(
        () => {
          entry.isSettled = true;
        },
        () => {
          entry.isSettled = true;
          entry.at -= KEPT - YOUNG;
        },
      );
      return orAborted(outcome, signal);
    },
  };
}

function parsed(text: string, name: string, server: string): Credential {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    tree = undefined;
  }
  const { data } = answer.safeParse(tree);
  if (data === undefined) {
    throw unusable(
      `the credential helper docker-credential-${name} answered for ${server} with something else than credentials`,
    );
  }
  if (data.Username === TOKEN_USER) return credentialOf({ kind: 'identity-token', token: data.Secret });
  return credentialOf({ kind: 'password', username: data.Username, password: data.Secret });
}
