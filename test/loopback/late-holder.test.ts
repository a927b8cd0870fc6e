import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';

const MIB = 1024 * 1024;
const LAYER = 64 * MIB;

const lan = lanForEachTest();

test('a host that was alone when its pull began takes the rest from a neighbour that comes', async (t) => {
  const image = lan.upstream.addImage('library/app', { layers: [LAYER] });
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-late-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const before = await lan.host({ directory });
  assert.ok((await before.pull('library/app', 'latest')).matches);
  await before.stop();

  const alone = await lan.host({ peers: [] });
  lan.upstream.forget();
  // What a thin uplink does: it would take 16 s.
  lan.upstream.misbehave({ kind: 'rate', bytesPerSecond: 4 * MIB });
  const had = lan.upstream.bytesServed();
  const pull = alone.pull('library/app', 'latest');
  await until('the pull is on its way', () => lan.upstream.bytesServed() - had > 2 * MIB);
  await lan.host({ directory, peers: alone.agent.peerAddresses });
  assert.ok((await pull).matches);
  const took = lan.upstream.bytesServed() - had;
  assert.ok(took < image.config.size + LAYER / 2, `${took} bytes of upstream's`);
});
