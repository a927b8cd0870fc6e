import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Inquiry, type InquiryComponents } from '../../../agent/fetch/inquiry.ts';
import type { Intake } from '../../../agent/fetch/intake.ts';
import type { Partial } from '../../../agent/fetch/ports.ts';
import { Proven } from '../../../agent/fetch/proven.ts';
import { Sharing } from '../../../agent/fetch/sharing.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { layoutOf, MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';

import { memoryStore } from '../../support/memory-store.ts';
import { memorySwarm } from '../../support/memory-swarm.ts';
import { memoryUpstream } from '../../support/memory-upstream.ts';

test('a dispute is settled once what upstream has is in its place, and not before', async () => {
  const upstream = memoryUpstream();
  const bytes = randomBytes(2 * MIB);
  const digest = upstream.add(bytes);
  const swarm = memorySwarm();
  const sharing = new Sharing(swarm, 250);
  let place = () => {};
  const placed = new Promise<void>((resolve) => {
    place = resolve;
  });
  let isReplacing = false;
  const intake = {
    mark: () => undefined,
    signerOf: () => undefined,
    replace: async () => {
      isReplacing = true;
      await placed;
      return true;
    },
  };
  const partial = { digest, layout: layoutOf(bytes.length), hashOf: () => randomBytes(32) };
  const end = new AbortController();
  const inquiry = new Inquiry(
    {
      store: memoryStore(),
      upstream,
      swarm,
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
      sharing,
      repositories: [{ registry: 'docker.io', name: 'library/app' }],
      proven: new Proven(),
    } satisfies InquiryComponents,
    partial as unknown as Partial,
    intake as unknown as Intake,
    () => {},
  );
  const running = inquiry.run(end.signal);
  let isSettled: boolean | undefined;
  const settling = inquiry.settled(1, end.signal).then((outcome) => {
    isSettled = outcome;
  });
  while (!isReplacing) await sleep(1);
  // Whatever else is heard meanwhile does not settle it.
  inquiry.vouched('somebody', 1, randomBytes(32));
  await sleep(10);
  assert.equal(isSettled, undefined);
  place();
  await settling;
  assert.equal(isSettled, true);
  end.abort();
  await running.catch(() => {});
  sharing.stop();
});
