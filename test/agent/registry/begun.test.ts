import assert from 'node:assert/strict';
import { test } from 'node:test';
import { begun } from '../../../agent/registry/begun.ts';

const LONG = 60_000;

async function collect(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const piece of body) text += Buffer.from(piece).toString();
  return text;
}

test('nothing is lost or repeated', async () => {
  async function* body() {
    yield Buffer.from('a');
    yield Buffer.from('b');
  }
  assert.equal(await collect(await begun(body(), LONG)), 'ab');
});

test('an empty body', async () => {
  async function* body() {}
  assert.equal(await collect(await begun(body(), LONG)), '');
});

test('what fails before its first piece fails here', async () => {
  // biome-ignore lint/correctness/useYield: it fails before it would yield
  async function* body(): AsyncGenerator<Uint8Array> {
    throw new Error('nobody has it');
  }
  await assert.rejects(begun(body(), LONG), /nobody has it/);
});

test('a body that is slow to begin is not waited for past the time, and fails in its own time', async () => {
  let fail: ((error: Error) => void) | undefined;
  async function* body(): AsyncGenerator<Uint8Array> {
    yield await new Promise<Uint8Array>((_, reject) => {
      fail = reject;
    });
  }
  const slow = await begun(body(), 5);
  fail?.(new Error('at last'));
  await assert.rejects(collect(slow), /at last/);
});

test('a reader that stops early ends the body', async () => {
  let ended = false;
  async function* body() {
    try {
      yield Buffer.from('a');
      yield Buffer.from('b');
    } finally {
      ended = true;
    }
  }
  for await (const _ of await begun(body(), LONG)) break;
  assert.equal(ended, true);
});
