import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes a second. */
const RATE = 2 * MIB;
/** What may go at once after a pause: a tenth of a second's worth. Bytes. */
const BURST = RATE / 10;
/** What a busy machine may take for all that is no transfer: look-ups, disk, hashing. Seconds. */
const ELSE = 5;

const lan = lanForEachTest();

/** Host n at 127.0.0.(n+2), which dials the first. */
async function host(limits: Record<string, string>, peers: Record<string, string> = {}): Promise<Host> {
  return await lan.host({ peers: lan.hosts[0]?.agent.peerAddresses ?? [], config: { limits, peers } });
}

/** Images of two layers and so many MiB each, of other bytes each. */
function images(count: number, size: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `library/app${index}`;
    lan.upstream.addImage(name, { layers: [size * MIB - 1_000, 1_000], seed: name });
    return name;
  });
}

/** Runs the pulls at once and holds their bytes in all, which must all be limited, to the rate. */
async function assertRate(pulls: [Host, string][]): Promise<void> {
  const started = performance.now();
  const pulled = await Promise.all(pulls.map(([from, name]) => from.pull(name, 'latest')));
  const seconds = (performance.now() - started) / 1000;
  assert.ok(pulled.every(({ matches }) => matches));
  const bytes = pulled.flatMap(({ blobs }) => blobs).reduce((sum, { size }) => sum + size, 0);
  assert.ok(bytes <= 1.05 * RATE * seconds + BURST, `${bytes} bytes in ${seconds} s are too many`);
  // A wait that the limit promises to end, with three times headroom; how near it comes is shown under virtual time.
  assert.ok(seconds <= 3 * (bytes / RATE) + ELSE, `${bytes} bytes in ${seconds} s are too few`);
}

async function assertNobodyBlamed(): Promise<void> {
  for (const { agent, log } of lan.hosts) {
    const strikes = (await agent.metrics.strikes.get()).values.reduce((sum, { value }) => sum + value, 0);
    assert.equal(strikes, 0);
    assert.deepEqual(
      log.filter(({ level }) => Number(level) >= 40),
      [],
    );
  }
}

for (const count of [1, 2]) {
  const size = 5 / count;
  const pullsText = count === 1 ? 'one pull' : 'two pulls at once';

  test(`the limit on upstream holds for ${pullsText}`, async () => {
    const only = await host({ upstream: '2MiB' });
    await assertRate(images(count, size).map((name) => [only, name]));
  });

  test(`the limit on what is sent to peers holds for ${pullsText}, by a host each`, async () => {
    const names = images(count, size);
    const holder = await host({ peerUpload: '2MiB' });
    for (const name of names) await holder.pull(name, 'latest');
    const takers: Host[] = [];
    for (const _ of names) takers.push(await host({}));
    lan.upstream.forget();
    await assertRate(names.map((name, index) => [takers[index]!, name]));
    assert.equal(lan.upstream.blobGets(), 0);
    await assertNobodyBlamed();
  });

  test(`the limit on what is taken from peers holds for ${pullsText}`, async () => {
    const names = images(count, size);
    const holder = await host({});
    for (const name of names) await holder.pull(name, 'latest');
    const taker = await host({ peerDownload: '2MiB' });
    lan.upstream.forget();
    await assertRate(names.map((name) => [taker, name]));
    assert.equal(lan.upstream.blobGets(), 0);
    await assertNobodyBlamed();
  });
}

for (const [limits, of] of [
  [{ peerUpload: '256KiB' }, 'holder'],
  [{ peerDownload: '256KiB' }, 'taker'],
] as const) {
  test(`a pull that its ${of} limits lasts several stall time-outs, and is called stalled by nobody`, async () => {
    lan.upstream.addImage('library/app', { layers: [300 * KIB, 310 * KIB, 320 * KIB] });
    const holder = await host(of === 'holder' ? limits : {}, { stallTimeout: '1s' });
    await holder.pull('library/app', 'latest');
    const taker = await host(of === 'taker' ? limits : {}, { stallTimeout: '1s' });
    lan.upstream.forget();
    assert.ok((await taker.pull('library/app', 'latest')).matches);
    assert.equal(lan.upstream.blobGets(), 0);
    await assertNobodyBlamed();
  });
}

test('the status names the limits that are set', async () => {
  const only = await host({ upstream: '2MiB' });
  const { limits } = await only.agent.status();
  assert.deepEqual(limits, { peerUpload: null, peerDownload: null, upstream: { rate: RATE } });
});
