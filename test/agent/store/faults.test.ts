import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAgentError } from '../../../agent/errors.ts';
import type { DiskStore } from '../../../agent/store/index.ts';
import { bring, content, digestOfBytes, never } from './compliance.ts';
import { type Call, interceptedFiles } from './intercepted-files.ts';
import { assertNothingFalse, layer, manifest, pull, removed } from './script.ts';
import { type Place, place } from './support.ts';

/** The calls that are let fail; a close that fails would leave the descriptor open in the test itself. */
const FAILING: ReadonlySet<Call['kind']> = new Set([
  ...(['open', 'read', 'write', 'truncate', 'sync', 'datasync', 'rename', 'rm'] as const),
  ...(['mkdir', 'readdir', 'stat', 'statfs', 'sizeNow', 'access'] as const),
]);

/** A store that failed is left alone for less than that. Milliseconds. */
const WHILE = 60_000;

type Fault = 'ENOSPC' | 'EIO' | 'short';

/** What a fault can befall; the others cannot need room, or cannot be short. */
const BEFALLS: Readonly<Record<Fault, ReadonlySet<Call['kind']>>> = {
  EIO: FAILING,
  ENOSPC: new Set(['open', 'write', 'truncate', 'sync', 'datasync', 'rename', 'mkdir']),
  short: new Set(['read', 'write']),
};

function systemError(code: string, call: Call): Error {
  return Object.assign(new Error(`${code}: ${call.kind} ${call.path}`), { code, syscall: call.kind, errno: -5 });
}

/** File calls of which number `at` fails, counted from 0. `short`: half of it is read or written, and the rest fails. */
function faulty(at: number, fault: Fault) {
  const state = { calls: [] as Call[], hit: undefined as Call | undefined };
  let isHalfDone = false;
  const isDue = (call: Call) => {
    if (!BEFALLS[fault].has(call.kind)) return false;
    state.calls.push(call);
    if (isHalfDone || state.calls.length === at + 1) state.hit = call;
    return state.hit === call;
  };
  const files = interceptedFiles(
    async (call, go) => {
      if (!isDue(call)) return await go();
      const length = call.bytes?.length ?? 0;
      if (fault === 'short' && !isHalfDone && (call.kind === 'read' || length > 1)) {
        // A read that is short is no failure: what is missing comes with the next.
        isHalfDone = call.kind === 'write';
        return await go(call.kind === 'read' ? 1 : Math.floor(length / 2));
      }
      isHalfDone = false;
      throw systemError(fault === 'short' ? 'ENOSPC' : fault, call);
    },
    (call) => {
      if (isDue(call)) throw systemError('EIO', call);
    },
  );
  return { files, state };
}

function assertClean(error: unknown, when: string): void {
  assert.ok(isAgentError(error, 'STORE_FAILING', 'STORE_UNWRITABLE', 'BLOB_ROTTEN'), `${when}: ${error}`);
  assert.ok(!error.message.includes('\n'));
}

/** A pull, a restart, and a look at what is held, with one fault. @returns the call that it befell */
async function run(at: Place, nth: number, fault: Fault): Promise<{ hit: Call | undefined }> {
  const { files, state } = faulty(nth, fault);
  let later = 0;
  const now = () => Date.now() + later;
  const when = () => `${fault} in call ${nth}, ${state.hit?.kind} of ${state.hit?.path}`;
  for (let start = 0; start < 2; start++) {
    let store: DiskStore | undefined;
    try {
      store = await at.open({ recheck: 0 }, { files, now });
      await store.inOrder;
      // After ENOSPC the store makes do with less for a while, and lets go of what it may.
      store.pin('scripted', [layer, manifest, removed]);
      await pull(store);
    } catch (error) {
      assertClean(error, when());
      later += WHILE;
      // The fault is over: the same store, not only the next, is to work again.
      if (store !== undefined) await pull(store);
    }
    await store?.close().catch((error) => assertClean(error, when()));
    assertNothingFalse(at.path, when());
  }
  const after = await at.open({ recheck: 0 });
  await after.inOrder;
  await pull(after);
  for (const digest of [layer, manifest]) assert.notEqual(after.find(digest), undefined, when());
  assert.equal(after.totals().blobs, 2, when());
  await after.close();
  assert.equal(assertNothingFalse(at.path, when()).size, 2);
  return state;
}

async function inPlace<Result>(work: (at: Place) => Promise<Result>): Promise<Result> {
  const at = await place({ inMemory: true });
  try {
    return await work(at);
  } finally {
    await at.leave();
  }
}

for (const fault of ['ENOSPC', 'EIO', 'short'] as const) {
  test(`each file call of a pull fails in turn, ${fault}: a clean error, nothing false, and the next pull works`, async () => {
    const hits = new Set<Call['kind']>();
    let hit: Call | undefined;
    // How many there are depends on when the store looks at its room, so it goes on until none is left to fail.
    for (let nth = 0; nth === 0 || hit !== undefined; nth++) {
      ({ hit } = await inPlace((at) => run(at, nth, fault)));
      if (hit !== undefined) hits.add(hit.kind);
    }
    for (const kind of BEFALLS[fault]) assert.ok(kind === 'sizeNow' || hits.has(kind), kind);
  });
}

test('after a failed fsync the bytes are not believed again', async () => {
  await inPlace(async (at) => {
    const bytes = content('fsync', 1000);
    const digest = digestOfBytes(bytes);
    let fails = true;
    let later = 0;
    const files = interceptedFiles(async (call, go) => {
      if (fails && call.kind === 'sync' && call.path.includes('partials')) throw systemError('EIO', call);
      return await go();
    });
    const store = await at.open({}, { files, now: () => Date.now() + later });
    const partial = await store.openPartial(digest, bytes.length, never);
    await bring(partial, bytes, [0]);
    await assert.rejects(partial.commit(null), (error) => isAgentError(error, 'STORE_FAILING'));
    fails = false;
    // The kernel tells of lost pages once; the next fsync would say that all is well.
    await assert.rejects(partial.commit(null), (error) => isAgentError(error, 'STORE_FAILING'));
    await partial.close();
    later += WHILE;
    const again = await store.openPartial(digest, bytes.length, never);
    assert.equal(again.marked, 0);
    await bring(again, bytes, [0]);
    await again.commit(null);
  });
});
