import type { TestContext } from 'node:test';
import pino from 'pino';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import type { Repository } from '../../../agent/oci/reference.ts';
import { createUpstream, type UpstreamClient } from '../../../agent/upstream/client.ts';
import type { UpstreamInit } from '../../../agent/upstream/options.ts';
import {
  startUpstreamRegistry,
  type UpstreamRegistry,
  type UpstreamRegistryOptions,
} from '../../support/upstream-registry.ts';

/** The repository the tests pull from. */
export const REPOSITORY: Repository = { registry: 'docker.io', name: 'library/image' };

/** A test that waits longer than this has failed. Milliseconds. */
export const PATIENCE = 30_000;

export interface Fixture {
  readonly registry: UpstreamRegistry;
  readonly upstream: UpstreamClient;
  readonly signal: AbortSignal;
  /** What the metric says. */
  bytesCounted(): Promise<number>;
}

/** A registry and a client of it, closed when the test ends. */
export async function fixture(
  context: TestContext,
  registryOptions: UpstreamRegistryOptions = {},
  init: UpstreamInit = {},
): Promise<Fixture> {
  const registry = await startUpstreamRegistry(registryOptions);
  context.after(() => registry.close());
  const registries = { 'docker.io': { endpoints: [registry.url] } };
  const { upstream, bytesCounted } = client(context, { registries, ...init });
  return { registry, upstream, signal: AbortSignal.timeout(PATIENCE), bytesCounted };
}

/** A client, closed when the test ends. */
export function client(context: TestContext, init: UpstreamInit): Pick<Fixture, 'upstream' | 'bytesCounted'> {
  const metrics = createMetrics();
  const upstream = createUpstream({ logger: pino({ level: 'silent' }), metrics }, init);
  context.after(() => upstream.close());
  const bytesCounted = async (): Promise<number> => (await metrics.upstreamBytes.get()).values[0]?.value ?? 0;
  return { upstream, bytesCounted };
}

/** All of a body. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** For assert.rejects: an AgentError with this code, and a message that matches. */
export function failsWith(code: string, message?: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error && 'code' in error && error.code === code && (message?.test(error.message) ?? true);
}
