import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { connected, type Host, startHost, until } from '../support/host.ts';
import {
  type HostileTaker,
  startHostileTaker,
  TAKER_BEHAVIOURS,
  type TakerBehaviour,
} from '../support/hostile-taker.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;

/** Ends a pull that would wait for ever: as long as a liar may hold it up by one stall time-out and then some. ms */
const PATIENCE = 60_000;

let upstream: UpstreamRegistry;
let host: Host | undefined;
let hostile: HostileTaker | undefined;

beforeEach(async () => {
  upstream = await startUpstreamRegistry();
});

afterEach(async () => {
  await host?.stop();
  await hostile?.stop();
  host = undefined;
  hostile = undefined;
  await upstream.close();
});

for (const [behaviour, what] of Object.entries(TAKER_BEHAVIOURS) as [TakerBehaviour, string][]) {
  test(`a pull comes right beside a peer that ${what}`, { timeout: 2 * PATIENCE }, async () => {
    const blob = randomBytes(6 * MIB + 321);
    const { digest } = upstream.addBlob('library/app', blob);
    host = await startHost({ upstream: upstream.url, config: { peers: { stallTimeout: '1s' } } });
    hostile = await startHostileTaker({
      listen: '/ip4/127.0.0.80/tcp/0',
      behaviour,
      blobs: [blob],
      leads: { digest, among: [host.agent.peerId] },
    });
    await hostile.join(host.agent.peerAddresses[0] ?? '');
    await connected(host, 1);
    const response = await fetch(`${host.mirror}/v2/library/app/blobs/${digest}`, {
      signal: AbortSignal.timeout(PATIENCE),
    });
    assert.ok(blob.equals(Buffer.from(await response.arrayBuffer())));
    assert.ok(hostile.heard > 0, 'it had its say');
    // What it signs may be false and its signature true: that shows only when the whole does not match.
    if (['forges', 'lies', 'slips'].includes(behaviour)) {
      const { peers } = await host.agent.status();
      assert.equal(peers.find(({ id }) => id === hostile?.id)?.state, 'banned');
    }
  });
}

for (const behaviour of ['boasts', 'puts-off'] satisfies TakerBehaviour[]) {
  test(`what a neighbour holds comes from it alone, beside one that ${TAKER_BEHAVIOURS[behaviour]}`, async (t) => {
    const holder = await startHost({ address: '127.0.0.3', upstream: upstream.url });
    t.after(() => holder.stop());
    const liar = await startHostileTaker({ listen: '/ip4/127.0.0.80/tcp/0', behaviour });
    hostile = liar;
    const peers = [...holder.agent.peerAddresses, ...liar.addresses];
    host = await startHost({ upstream: upstream.url, peers, config: { peers: { stallTimeout: '1s' } } });
    await connected(host, 2);
    const { agent, mirror } = host;
    const asSeen = async () => (await agent.status()).peers.find(({ id }) => id === liar.id);
    await liar.join(holder.agent.peerAddresses[0] ?? '');
    await connected(holder, 2);
    for (let count = 1; count <= 3; count++) {
      // More than is asked of the first holder at once.
      const blob = randomBytes(20 * MIB + 321);
      const { digest } = upstream.addBlob('library/app', blob);
      const get = async (from: string) => {
        const signal = AbortSignal.timeout(PATIENCE);
        const response = await fetch(`${from}/v2/library/app/blobs/${digest}`, { signal });
        assert.ok(blob.equals(Buffer.from(await response.arrayBuffer())));
      };
      await get(holder.mirror);
      // Who makes things up may be heard once only: then it has proved false.
      if (behaviour === 'puts-off' || count === 1) {
        await until('its word has come', async () => (await asSeen())?.blobs === count);
      }
      upstream.forget();
      await get(mirror);
      assert.equal(upstream.blobGets(), 0);
    }
    if (behaviour === 'boasts') {
      await until('what it said has been held against it', async () => ((await asSeen())?.strikes ?? 0) > 0);
    } else {
      assert.ok(liar.chunksAsked > 0, 'it was believed');
      assert.equal((await asSeen())?.strikes, 0, 'busy is no offence');
    }
  });
}
