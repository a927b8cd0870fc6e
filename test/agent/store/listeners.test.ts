import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { BlobListeners } from '../../../agent/store/listeners.ts';
import { digestOfBytes } from './compliance.ts';

const DIGEST = digestOfBytes(Buffer.from('a blob'));

test('one that throws keeps nothing from the others, and one that ended hears nothing', () => {
  const lines: string[] = [];
  const listeners = new BlobListeners(pino({ level: 'error' }, { write: (line: string) => lines.push(line) }));
  const heard: string[] = [];
  listeners.add(() => {
    throw new Error('broken');
  });
  const end = listeners.add((digest) => heard.push(`first ${digest}`));
  listeners.add((digest) => heard.push(`second ${digest}`));
  listeners.tell(DIGEST);
  end();
  listeners.tell(DIGEST);
  assert.deepEqual(heard, [`first ${DIGEST}`, `second ${DIGEST}`, `second ${DIGEST}`]);
  assert.equal(lines.length, 2);
});
