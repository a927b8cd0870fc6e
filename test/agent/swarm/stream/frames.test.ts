import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stream } from '@libp2p/interface';
import fc from 'fast-check';
import { readStream } from '../../../../agent/swarm/stream/reader.ts';
import { encodeFrame } from '../../../../protocol/frame.ts';

/** As much of a libp2p stream as a reader uses. */
class FakeStream extends EventTarget {
  readonly readableEnded = false;
  readonly status = 'open';
  readonly readStatus = 'readable';
  readonly readBufferLength = 0;

  arrive(data: Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data }));
  }
}

test('frames are read alike however they are cut on their way, several in a piece or one in several', async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(bodies, fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 30 }), async (sent, cuts) => {
      const stream = new FakeStream();
      const reader = readStream(stream as unknown as Stream, { frameTimeout: 30_000 });
      const all = Buffer.concat(sent.map(encodeFrame));
      const reading = (async () => {
        const read: Uint8Array[] = [];
        while (read.length < sent.length) read.push((await reader.readFrame()) ?? assert.fail('it goes on'));
        return read;
      })();
      let at = 0;
      for (const cut of [...cuts, all.length]) {
        if (at < all.length) stream.arrive(all.subarray(at, at + cut));
        at += cut;
        await Promise.resolve();
      }
      const read = await reading;
      assert.deepEqual(read.map(toHex), sent.map(toHex));
      reader.detach();
    }),
  );
});

test('a frame’s body keeps nothing alive but itself', async () => {
  const stream = new FakeStream();
  const reader = readStream(stream as unknown as Stream, { frameTimeout: 30_000 });
  const piece = Buffer.concat(Array.from({ length: 100 }, () => encodeFrame(new Uint8Array(50))));
  stream.arrive(piece);
  for (let n = 0; n < 100; n++) assert.equal((await reader.readFrame())?.buffer.byteLength, 50);
  reader.detach();
});

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
