import assert from 'node:assert/strict';
import type { Algorithm } from '../../protocol/digest.ts';
import { ALGORITHMS, type Target } from './target.ts';
import { type Answer, type Ask, ask } from './wire.ts';

/** One thing that a registry does. */
export interface Case {
  readonly title: string;
  /** Of the OCI distribution spec 1.1.1, or of RFC 9110 where that is what it refers to. */
  readonly section: string;
  /** Who relies on it. */
  readonly client?: string;
  /** That distribution 2.8 is expected to fail: then the suite is right only if it does, and for this reason. */
  readonly differs?: Difference | undefined;
  /** @throws where the target does something else */
  run(target: Target): Promise<void>;
}

/** What a registry is known to do otherwise. */
export interface Difference {
  readonly because: string;
  /** What the failure says. */
  readonly seen: RegExp;
}

/** The same case for each digest algorithm. */
export function forEachAlgorithm(caseOf: (algorithm: Algorithm) => Case): Case[] {
  return ALGORITHMS.map((algorithm) => {
    const one = caseOf(algorithm);
    return { ...one, title: `${one.title} (${algorithm})` };
  });
}

/** A request on a connection of its own. */
export function get(target: Target, path: string, ...headers: string[]): Promise<Answer> {
  return ask(target, { path, headers });
}

export function head(target: Target, path: string, ...headers: string[]): Promise<Answer> {
  return ask(target, { method: 'HEAD', path, headers });
}

export function send(target: Target, request: Ask): Promise<Answer> {
  return ask(target, request);
}

/** "Error Codes": a JSON body with a list of errors, each with a code of the spec. */
export function assertError(answer: Answer, status: number, ...codes: string[]): void {
  assert.equal(answer.status, status);
  assert.match(answer.header('content-type') ?? '', /^application\/json\b/);
  const { errors } = JSON.parse(answer.body.toString()) as { errors: { code: string; message?: unknown }[] };
  assert.ok(Array.isArray(errors) && errors.length > 0, 'a list of errors');
  assert.ok(codes.includes(errors[0]?.code ?? ''), `code ${errors[0]?.code}, not ${codes.join(' or ')}`);
  assert.equal(typeof errors[0]?.message, 'string');
}

/** That no credentials are asked for: clients send those of the registry that they think they talk to. */
export function assertNoChallenge(answer: Answer): void {
  assert.notEqual(answer.status, 401);
  assert.equal(answer.header('www-authenticate'), undefined);
}
