import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Host, type HostOptions, startHost, until } from '../host.ts';
import { type Told, told } from './client.ts';
import {
  type Asked,
  type BadRegistry,
  type BadRegistryOptions,
  type Headers,
  type Misbehaviour,
  startBadRegistry,
} from './registry.ts';
import type { Kind } from './right.ts';

/** Clients wait 30 s for headers, and read what follows for as long as it comes; with headroom. Milliseconds. */
const PATIENCE = 90_000;

/** What is remembered of a bad upstream is forgotten by then. Milliseconds. */
const FORGETS_WITHIN = 15_000;

/** What an answer without end may bring, with what lies in the sockets' buffers, however often it is asked for. Bytes. */
const MAX_FLOOD = 128 * 1024 * 1024;

/** What an agent should make of an upstream that misbehaves. */
export interface Trial {
  readonly name: string;
  readonly on: Kind | 'any';
  readonly does: Misbehaviour;
  /** `right`: manifest and layer come as they are. Else the error that one of them, the layer or the manifest, ends with. */
  readonly told: 'right' | { readonly status: number; readonly message: RegExp } | 'cut';
  readonly registry?: BadRegistryOptions;
  /** @default [] */
  readonly host?: (registry: BadRegistry) => Promise<Partial<HostOptions>> | Partial<HostOptions>;
  /** What else must hold, once the client was told. */
  readonly also?: (registry: BadRegistry) => void;
}

/** An agent of its own pulls from an upstream that misbehaves, and again once that is mended. */
export async function run(trial: Trial): Promise<void> {
  const registry = await startBadRegistry(trial.registry);
  let host: Host | undefined;
  try {
    host = await startHost({ upstream: registry.url, ...(await trial.host?.(registry)) });
    registry.misbehave(trial.on, trial.does);
    const outcome = await pulled(host, registry);
    if (trial.told === 'right' || trial.told === 'cut') assert.equal(outcome.kind, trial.told, JSON.stringify(outcome));
    else if (outcome.kind === 'cut') {
      // Headers go out after 5 s: on a busy machine also to who is refused. The log has the reason then.
      assert.match(JSON.stringify(host.log), trial.told.message);
    } else {
      assert.ok(outcome.kind === 'error', JSON.stringify(outcome));
      assert.equal(outcome.status, trial.told.status, outcome.message);
      assert.match(outcome.message, trial.told.message);
    }
    await until('no answer is read that has no end', () => registry.floods === 0);
    assert.ok(registry.sent < MAX_FLOOD, `${registry.sent} bytes`);
    trial.also?.(registry);
    await assertTrue(host.directory);

    registry.behave();
    await until('it is pulled once upstream is mended', () => isPulled(host as Host, registry), FORGETS_WITHIN);
    await assertTrue(host.directory);
    assert.deepEqual(
      host.log.filter(({ level }) => Number(level) >= 50),
      [],
      'nothing was the agent’s own fault',
    );
  } finally {
    await host?.stop();
    await registry.close();
  }
}

/** The layer's outcome, or the manifest's where that is not right. */
async function pulled({ mirror }: Host, { image, layer }: BadRegistry): Promise<Told> {
  const manifest = await told(`${mirror}/v2/library/app/manifests/latest`, image.manifest.bytes, PATIENCE);
  if (manifest.kind !== 'right') return manifest;
  assert.equal(manifest.mediaType, image.manifest.mediaType);
  return await told(`${mirror}/v2/library/app/blobs/${layer.digest}`, layer.bytes, PATIENCE);
}

async function isPulled(host: Host, registry: BadRegistry): Promise<boolean> {
  return (await pulled(host, registry)).kind === 'right' && (await host.pull('library/app', 'latest')).matches;
}

/** Nothing in the store has a name that is not its digest. */
async function assertTrue(directory: string): Promise<void> {
  const folder = join(directory, 'store', 'blobs', 'sha256');
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), name);
  }
}

/** The right answer with other headers; those that are undefined are left out. */
export function withHeaders(others: Readonly<Record<string, Headers[string] | undefined>>): Misbehaviour {
  return ({ right, send }) => {
    const fields = Object.entries({ ...right.headers, ...others }).filter(([, value]) => value !== undefined);
    send(right.status, Object.fromEntries(fields) as Headers, right.body);
  };
}

/** The right answer to some, what is wrong to others. */
export function where(applies: (asked: Asked) => boolean, does: Misbehaviour): Misbehaviour {
  return (asked) => (applies(asked) ? does(asked) : withHeaders({})(asked));
}

export function flipped(bytes: Buffer): Buffer {
  const other = Buffer.from(bytes);
  other[0] = (other[0] ?? 0) ^ 1;
  return other;
}

/** The head of an answer whose end does not come. */
export function begin({ socket }: Asked, ...lines: string[]): void {
  socket.write(`${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n`);
}
