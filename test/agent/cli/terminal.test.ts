import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processTerminal } from '../../../agent/cli/terminal.ts';

test('a thousand lines leave no more listeners than one: Node warns of eleven, in the middle of a list', async () => {
  const terminal = processTerminal();
  await terminal.out('');
  await terminal.err('');
  const count = () => [process.stdout, process.stderr].map((stream) => stream.listenerCount('error'));
  const before = count();
  for (let line = 0; line < 20; line++) {
    await terminal.out('');
    await processTerminal().err('');
  }
  assert.deepEqual(count(), before);
});
