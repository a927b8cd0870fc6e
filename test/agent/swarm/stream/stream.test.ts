import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Stream } from '@libp2p/interface';
import { readStream } from '../../../../agent/swarm/stream/reader.ts';
import { sendDrained } from '../../../../agent/swarm/stream/sink.ts';
import { encodeFrame } from '../../../../protocol/frame.ts';
import { blob, PATIENCE, soon, until } from '../fixture.ts';
import { streamPair } from './stream-pair.ts';

const MIB = 1024 * 1024;
const reader = (stream: Stream) => readStream(stream, { frameTimeout: PATIENCE });

test('a reader that sleeps holds its sender back, and loses nothing', { timeout: 2 * PATIENCE }, async (t) => {
  const { near, far } = await streamPair(t);
  const piece = blob(256 * 1024);
  const pieces = 256;
  const reading = reader(far);
  let sent = 0;
  const sending = (async () => {
    for (let at = 0; at < pieces; at++) {
      await sendDrained(near, piece, PATIENCE, soon());
      sent += piece.length;
    }
    await near.close();
  })();
  await reading.readExactly(100);
  // Asleep: what is sent comes to a halt.
  let before = -1;
  await until(async () => {
    const halted = sent === before && sent > 0;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return halted;
  });
  assert.ok(sent <= 8 * MIB, `${sent} bytes went to a reader that sleeps`);
  assert.ok(near.writeBufferLength <= piece.length);
  assert.ok(far.readBufferLength <= 4 * MIB);

  const hash = createHash('sha256').update(piece.subarray(0, 100));
  let left = pieces * piece.length - 100;
  while (left > 0) {
    const length = Math.min(left, 1_000_000);
    hash.update(await reading.readExactly(length, soon()));
    left -= length;
  }
  const expected = createHash('sha256');
  for (let at = 0; at < pieces; at++) expected.update(piece);
  assert.equal(hash.digest('hex'), expected.digest('hex'));
  await sending;
  assert.equal(await reading.readFrame(soon()), undefined);
});

test('frames and bodies come as they were sent, however they were cut', async (t) => {
  const { near, far } = await streamPair(t);
  const bodies = [0, 1, 127, 128, 5_000, 300_000].map((length) => blob(length));
  const raw = blob(700_000);
  const bytes = Buffer.concat([...bodies.map(encodeFrame), raw, ...bodies.map(encodeFrame)]);
  const sending = (async () => {
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 3) % 99_991) {
      await sendDrained(near, bytes.subarray(at, at + step), PATIENCE);
    }
    await near.close();
  })();
  const reading = reader(far);
  for (const body of bodies) assert.ok(body.equals((await reading.readFrame(soon())) ?? Buffer.of(0)));
  assert.ok(raw.equals(await reading.readExactly(raw.length, soon())));
  for (const body of bodies) assert.ok(body.equals((await reading.readFrame(soon())) ?? Buffer.of(0)));
  assert.equal(await reading.readFrame(soon()), undefined);
  await sending;
  assert.equal(reading.received, bytes.length);
});

test('a reader that comes after the sender has gone still reads all', async (t) => {
  const { near, far } = await streamPair(t);
  near.send(encodeFrame(Buffer.from('last words')));
  await near.close();
  await until(() => far.remoteWriteStatus === 'closed');
  const reading = reader(far);
  assert.equal(Buffer.from((await reading.readFrame(soon())) ?? []).toString(), 'last words');
  assert.equal(await reading.readFrame(soon()), undefined);
  assert.equal(await reader(far).readFrame(soon()), undefined);
});

test('what ends too early, breaks, or is given up rejects, and says how', async (t) => {
  const ended = await streamPair(t);
  ended.near.send(Buffer.alloc(10));
  await ended.near.close();
  await assert.rejects(reader(ended.far).readExactly(11, soon()), { code: 'PEER_UNREACHABLE' });

  const cut = await streamPair(t);
  cut.near.send(Buffer.of(0xff));
  await cut.near.close();
  await assert.rejects(reader(cut.far).readFrame(soon()), { code: 'PEER_PROTOCOL' });

  const broken = await streamPair(t);
  const reading = reader(broken.far).readExactly(1, soon());
  broken.near.abort(new Error('broken'));
  await assert.rejects(reading, { code: 'PEER_UNREACHABLE' });

  const given = await streamPair(t);
  const leave = new AbortController();
  const left = reader(given.far).readFrame(leave.signal);
  leave.abort(new Error('left'));
  await assert.rejects(left, /left/);
});

test('a sender waits for a reader only so long, and hears of a reset at once', { timeout: PATIENCE }, async (t) => {
  const stalled = await streamPair(t);
  reader(stalled.far);
  const flood = async (stream: Stream, timeout: number) => {
    for (;;) await sendDrained(stream, Buffer.alloc(256 * 1024), timeout);
  };
  await assert.rejects(flood(stalled.near, 500), { code: 'PEER_STALLED' });

  const reset = await streamPair(t);
  reader(reset.far);
  const flooding = assert.rejects(flood(reset.near, PATIENCE), { code: 'PEER_UNREACHABLE' });
  await until(() => reset.near.writeBufferLength > 0);
  reset.far.abort(new Error('enough'));
  await flooding;
});

/** Frames that a stream's end sends, of whatever kind: yamux's own among them. */
function countFrames(stream: Stream): () => number {
  let sent = 0;
  const inside = stream as unknown as { sendFrame(...frame: unknown[]): boolean };
  const sendFrame = inside.sendFrame.bind(inside);
  inside.sendFrame = (...frame) => {
    sent++;
    return sendFrame(...frame);
  };
  return () => sent;
}

for (const opened of ['near', 'far'] as const) {
  const name = opened === 'near' ? 'opened' : 'was opened to';
  test(`who ${name} a stream answers messages with no frames of its own until half the window is used`, async (t) => {
    const { near, far } = await streamPair(t);
    const ends = { near: { stream: near, reading: reader(near) }, far: { stream: far, reading: reader(far) } };
    const { stream: takes, reading } = ends[opened];
    const { stream: sends, reading: answers } = ends[opened === 'near' ? 'far' : 'near'];
    // Both have said by now that the stream is open.
    for (const [from, to] of [
      [takes, answers],
      [sends, reading],
    ] as const) {
      await sendDrained(from, encodeFrame(Uint8Array.of(1)), PATIENCE, soon());
      await to.readFrame(soon());
    }
    const frames = countFrames(takes);
    for (let at = 0; at < 100; at++) {
      await sendDrained(sends, encodeFrame(new Uint8Array(100)), PATIENCE, soon());
      await reading.readFrame(soon());
    }
    assert.equal(frames(), 0);
    // And many windows' worth comes through.
    const piece = new Uint8Array(64 * 1024);
    const sending = (async () => {
      for (let at = 0; at < 128; at++) await sendDrained(sends, piece, PATIENCE, soon());
    })();
    for (let at = 0; at < 128; at++) await reading.readExactly(piece.length, soon());
    await sending;
    assert.ok(frames() > 0 && frames() <= 64, `${frames()} frames for 8 MiB`);
  });
}
