import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fetch } from 'undici';
import { type Host, startHost } from '../support/host.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const BOUND = 40 * MIB;
const LAYER = 16 * MIB;

let upstream: UpstreamRegistry;
let host: Host;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
  host = await startHost({ upstream: upstream.url, config: { store: { maxSize: '40MiB' } } });
});

afterEach(async () => {
  await host.stop();
  await upstream.close();
});

const NAMES = ['one', 'two', 'three', 'four', 'five'].map((name) => `library/${name}`);

function addImages(): Map<string, string> {
  return new Map(
    NAMES.map((name) => [name, upstream.addImage(name, { layers: [LAYER], seed: name }).layers[0]!.digest]),
  );
}

/**
 * Bytes of the disk that a directory takes with all that is in it. In one go: with a wait between two files it would count
 * a blob that makes room, and then all of what has come in its place.
 */
function du(directory: string): number {
  let room = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    // What is removed in between takes nothing.
    room += entry.isDirectory() ? du(path) : (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return room;
}

/** Looks at the disk again and again while `work` goes on. @returns the most it ever was, and how often it was looked */
async function mostDuring(work: Promise<unknown>): Promise<{ most: number; looks: number }> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  done.catch(() => {});
  let most = 0;
  let looks = 0;
  while (!isDone) {
    most = Math.max(most, du(join(host.directory, 'store')));
    looks++;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await done;
  return { most, looks };
}

async function held(layers: Map<string, string>): Promise<string[]> {
  const files = await readdir(join(host.directory, 'store/blobs/sha256'));
  return NAMES.filter((name) => files.includes(layers.get(name)!.replace('sha256:', '')));
}

async function pullRight(name: string): Promise<void> {
  assert.ok((await host.pull(name, 'latest')).matches, name);
}

test('more is pulled than fits, one after the other: all right, within the bound, what was used last is held', async () => {
  const layers = addImages();
  const { most, looks } = await mostDuring(
    (async () => {
      for (const name of NAMES) await pullRight(name);
      // A hit is a use: what was pulled again stays, and what came after it goes.
      await pullRight('library/four');
      await pullRight('library/one');
    })(),
  );
  assert.ok(looks > 20, `looked ${looks} times`);
  assert.ok(most > 2 * LAYER && most <= BOUND, `${most} of ${BOUND} bytes`);
  assert.deepEqual(await held(layers), ['library/one', 'library/four']);
  const { store } = await host.agent.status();
  assert.ok(store.used <= BOUND && store.bound === BOUND);
  assert.deepEqual([store.state, store.reason], ['ok', null]);
  assert.match(await host.agent.metrics.registry.metrics(), /^layerlan_evicted_bytes_total [1-9]/m);
});

test('more is pulled than fits, all at once: all right, within the bound', async () => {
  const layers = addImages();
  const { most } = await mostDuring(
    (async () => {
      for (let round = 0; round < 2; round++) await Promise.all(NAMES.map(pullRight));
    })(),
  );
  assert.ok(most > 2 * LAYER && most <= BOUND, `${most} of ${BOUND} bytes`);
  assert.equal((await held(layers)).length, 2, 'as many as fit');
});

test('a blob that can never fit: the state is told in status, health and metrics', async () => {
  const [large] = upstream.addImage('library/large', { layers: [48 * MIB] }).layers;
  const health = async () => {
    const answer = await fetch(`${host.mirror}/healthz`);
    return { status: answer.status, body: (await answer.json()) as { ok: boolean; store: { state: string } } };
  };
  assert.equal((await health()).body.store.state, 'ok');
  await pullRight('library/large');
  // Once more by itself: what is small has been stored since.
  const again = await fetch(`${host.mirror}/v2/library/large/blobs/${large?.digest}`);
  assert.equal((await again.arrayBuffer()).byteLength, 48 * MIB);
  assert.equal((await host.agent.status()).store.state, 'full');
  assert.match((await host.agent.status()).store.reason ?? '', /of 49 MiB: store\.maxSize is 40 MiB$/);
  const { status, body } = await health();
  assert.deepEqual([status, body.ok, body.store.state], [200, true, 'full']);
  assert.match(await host.agent.metrics.registry.metrics(), /^layerlan_store_state\{state="full"\} 1$/m);
  assert.equal(host.log.filter(({ msg }) => msg === 'the store is full and nothing in it may go').length, 1);

  addImages();
  await pullRight('library/one');
  assert.equal((await host.agent.status()).store.state, 'ok');
});
