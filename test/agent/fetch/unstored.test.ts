import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { AgentError, type ErrorCode } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import type { Partial, Store } from '../../../agent/fetch/ports.ts';
import { PROVEN_AFTER } from '../../../agent/fetch/proven.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { failsFrom, type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const never = new AbortController().signal;

/** What fails of the store, and with which word; nothing where undefined. */
let fault: { at: 'open' | 'write' | 'mark' | 'read' | 'commit'; code: ErrorCode; after?: number } | undefined;
let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
let warned: string[];

beforeEach(() => {
  fault = undefined;
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  warned = [];
  const stream = { write: (line: string) => void warned.push(JSON.parse(line).msg) };
  content = createContent(
    {
      store: failing(store),
      upstream,
      swarm,
      tags: memoryTags(),
      metrics: createMetrics(),
      logger: pino({ level: 'warn' }, stream),
    },
    {
      lookupTimeout: 2_000,
      leaseTimeout: 250,
      holdFor: 300,
      tags: () => ({ fresh: [{ pattern: '*', time: 0 }], immutable: [] }),
    },
  );
});

afterEach(() => content.stop());

/** A store whose calls fail as `fault` says. */
function failing(inner: MemoryStore): Store {
  let calls = 0;
  const check = (at: string) => {
    if (fault?.at !== at || calls++ < (fault.after ?? 0)) return;
    throw new AgentError(fault.code, 'as the test says');
  };
  const wrap = (partial: Partial): Partial =>
    new Proxy(partial, {
      get(target, key) {
        const value = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (key === 'write' || key === 'mark' || key === 'read' || key === 'commit') {
            try {
              check(key);
            } catch (error) {
              return Promise.reject(error);
            }
          }
          return value.apply(target, args);
        };
      },
    });
  return new Proxy(inner, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key === 'openPartial') {
        return async (...args: Parameters<Store['openPartial']>) => {
          check('open');
          return wrap(await target.openPartial(...args));
        };
      }
      if (key === 'put') {
        return async (...args: Parameters<Store['put']>) => {
          check('open');
          return target.put(...args);
        };
      }
      return value.bind(target);
    },
  });
}

async function read(digest: Digest, from = 0, to?: number): Promise<Buffer> {
  const blob = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(from, to ?? blob.size, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const digestOf = (bytes: Uint8Array) => toDigest('sha256', createHash('sha256').update(bytes).digest());
const blob = (chunks: number) => randomBytes(chunks * MIB - 1234);

for (const code of ['STORE_FULL', 'STORE_FAILING'] as const) {
  test(`${code} at the start: the blob comes from upstream, none of it is kept, and no log line a pull`, async () => {
    fault = { at: 'open', code };
    const bytes = blob(6);
    const digest = upstream.add(bytes);
    assert.ok(bytes.equals(await read(digest)));
    assert.equal(store.find(digest), undefined);
    assert.equal(upstream.sent, bytes.length);
    assert.deepEqual(warned, []);
    fault = undefined;
    await read(digest);
    assert.ok(store.find(digest), 'stored again as soon as it can be');
  });
}

for (const at of ['write', 'mark', 'read', 'commit'] as const) {
  for (const after of [0, 2]) {
    test(`the disk fails at ${at} ${after + 1}: the client has the right bytes`, async () => {
      fault = { at, code: 'STORE_FAILING', after };
      const bytes = blob(6);
      const digest = upstream.add(bytes);
      assert.ok(bytes.equals(await read(digest)));
      fault = undefined;
      assert.ok(bytes.equals(await read(digest)));
      assert.ok(store.find(digest));
    });
  }
}

for (const at of ['write', 'mark'] as const) {
  test(`the disk fails at ${at} while a peer gives, and upstream is away: the peer goes on giving`, async () => {
    fault = { at, code: 'STORE_FAILING', after: 2 };
    const bytes = blob(6);
    const digest = upstream.add(bytes);
    upstream.away = 'UPSTREAM_UNREACHABLE';
    store.rememberDescriptors([{ digest, size: bytes.length }]);
    swarm.add('a', digest, { bytes });
    assert.ok(bytes.equals(await read(digest)));
    assert.deepEqual([swarm.strikes, warned.filter((line) => line.includes('given up'))], [[], []]);
  });
}

test('an empty blob, and one that is said to be empty and is not', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const digest = upstream.add(Buffer.alloc(0));
  assert.equal((await read(digest)).length, 0);
  const other = digestOf(Buffer.from('something'));
  store.rememberDescriptors([{ digest: other, size: 0, mediaType: MANIFEST_TYPE } as never]);
  await assert.rejects(read(other), { code: 'UPSTREAM_MISMATCH' });
});

test('a manifest is given though it cannot be stored', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, layers: [] }));
  const digest = upstream.tag('latest', manifest, MANIFEST_TYPE);
  const got = await content.getManifest({ repository, reference: 'latest', accept: [MANIFEST_TYPE] }, never);
  assert.equal(got.digest, digest);
  assert.deepEqual(warned, []);
});

test('two peers that say the same give it, and upstream nothing', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(8);
  const digest = upstream.add(bytes);
  swarm.add('a', digest, { bytes, address: '10.0.0.1' });
  swarm.add('b', digest, { bytes, address: '10.0.0.2' });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.sent, 0);
  assert.equal((swarm.given.get('a')?.length ?? 0) + (swarm.given.get('b')?.length ?? 0), 8);
  assert.ok(Math.min(swarm.given.get('a')?.length ?? 0, swarm.given.get('b')?.length ?? 0) >= 3, 'they share the work');
});

test('one stranger’s word is not enough while upstream is there', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(8);
  const digest = upstream.add(bytes);
  swarm.add('stranger', digest, { bytes });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.sent, bytes.length);
});

test('with upstream away one stranger’s is, after release.holdFor; its false bytes never reach the end', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(8);
  const digest = digestOf(bytes);
  store.rememberDescriptors([{ digest, size: bytes.length, mediaType: MANIFEST_TYPE } as never]);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  swarm.add('stranger', digest, { bytes });
  const since = performance.now();
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(performance.now() - since >= 300, 'not before');

  const wanted = blob(8);
  const lied = digestOf(wanted);
  store.rememberDescriptors([{ digest: lied, size: wanted.length, mediaType: MANIFEST_TYPE } as never]);
  swarm.add('liar', lied, { bytes: blob(8) });
  let seen = 0;
  const opened = await content.openBlob({ repository, digest: lied }, never);
  await assert.rejects(
    async () => {
      for await (const piece of opened.read(0, opened.size, never)) seen += piece.length;
    },
    { code: 'UPSTREAM_MISMATCH' },
  );
  assert.ok(seen <= 7 * MIB, 'the last chunk waits');
  assert.deepEqual(swarm.strikes, [{ peer: 'liar', offence: 'lied' }]);
});

test('a small blob is matched before it is shown: a liar is found out, and upstream has it', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  swarm.add('liar', digest, { bytes: blob(2) });
  assert.ok(bytes.equals(await read(digest)));
  assert.deepEqual(swarm.strikes, [{ peer: 'liar', offence: 'lied' }]);
  assert.equal(upstream.sent, bytes.length);
});

test('a fleet with a key shows what a proven peer gives at once', async () => {
  swarm.isTrusted = true;
  // Small enough to be matched before they are shown, so that a stranger's word will do.
  const [last, ...earlier] = [blob(8), ...Array.from({ length: PROVEN_AFTER / 2 }, () => blob(2))] as const;
  for (const bytes of [...earlier, last]) swarm.add('peer', upstream.add(bytes), { bytes });
  fault = { at: 'open', code: 'STORE_FULL' };
  for (const bytes of earlier) assert.ok(bytes.equals(await read(digestOf(bytes))));
  assert.ok(last.equals(await read(digestOf(last))));
  assert.equal(upstream.sent, 0);
});

test('peers that fail in the middle: the rest comes from upstream, from that byte', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(8);
  const digest = upstream.add(bytes);
  for (const [peer, address] of [
    ['a', '10.0.0.1'],
    ['b', '10.0.0.2'],
  ] as const) {
    swarm.add(peer, digest, { bytes, address, chunk: failsFrom(2, 'PEER_UNREACHABLE') });
  }
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(upstream.sent > 0 && upstream.sent < bytes.length, `${upstream.sent}`);
});

test('a peer that is busy for a moment is asked again, and upstream is not', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  let asked = 0;
  const chunk = () => {
    if (asked++ % 3 < 2) throw new AgentError('PEER_BUSY', 'as the script says');
  };
  swarm.add('a', digest, { bytes, chunk });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.sent, 0);
  assert.deepEqual(swarm.given.get('a')?.length, 3);
});

test('one that is always busy is left, in a few seconds', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  swarm.add('a', digest, { bytes, chunk: failsFrom(1, 'PEER_BUSY') });
  const since = performance.now();
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(performance.now() - since < 5_000);
  assert.ok(upstream.sent > 0);
});

test('a range from the middle, also of a registry without Range', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(8);
  const digest = upstream.add(bytes);
  const [from, to] = [3 * MIB + 17, 6 * MIB + 5];
  assert.ok(bytes.subarray(from, to).equals(await read(digest, from, to)));
  upstream.isRangeless = true;
  assert.ok(bytes.subarray(from).equals(await read(digest, from)));
  assert.ok(bytes.subarray(from, to).equals(await read(digest, from, to)));
});

test('upstream’s wrong bytes end short: the last chunk is not shown', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(6);
  const digest = upstream.add(bytes);
  upstream.wrong = blob(6);
  let seen = 0;
  const opened = await content.openBlob({ repository, digest }, never);
  await assert.rejects(
    async () => {
      for await (const piece of opened.read(0, opened.size, never)) seen += piece.length;
    },
    { code: 'UPSTREAM_MISMATCH' },
  );
  assert.equal(seen, 5 * MIB);
});

test('a client that leaves, and an agent that stops, leave nothing running', async () => {
  fault = { at: 'open', code: 'STORE_FULL' };
  const bytes = blob(8);
  const digest = upstream.add(bytes);
  const leave = new AbortController();
  upstream.pace = async (signal) => {
    if (upstream.sent > MIB)
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const opened = await content.openBlob({ repository, digest }, never);
  const reading = (async () => {
    for await (const _ of opened.read(0, opened.size, leave.signal));
  })();
  setTimeout(() => leave.abort(new Error('left')), 50);
  await assert.rejects(reading, /left/);
  const again = (async () => {
    for await (const _ of opened.read(0, opened.size, never));
  })();
  setTimeout(() => content.stop(), 50);
  await assert.rejects(again, { code: 'DRAINING' });
});
