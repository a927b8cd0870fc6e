import { pino } from 'pino';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createMirror } from '../../../agent/registry/mirror.ts';
import { MEDIA_TYPE, MemoryContent } from '../../agent/registry/support.ts';
import { BLOB, BLOB_DIGEST, MANIFEST, TAG } from './content.ts';

/** The process that start.ts starts with --expose-gc, and asks by message. */
const content = new MemoryContent();
content.blobs.set(BLOB_DIGEST, BLOB);
content.manifests.set(TAG, { digest: BLOB_DIGEST, mediaType: MEDIA_TYPE, bytes: Buffer.from(MANIFEST) });

const ADDRESSES = ['127.0.0.1:0', '127.0.0.2:0', '127.0.0.3:0', '127.0.0.4:0'];

const log: string[] = [];
const logger = pino({ level: 'warn' }, { write: (line: string) => void (log.length < 20 && log.push(line)) });
const mirror = createMirror(
  { logger, metrics: createMetrics(), content, status: () => ({}), health: () => ({ ok: true }) },
  { drainTimeout: 0 },
);

async function rest(): Promise<void> {
  while (process.getActiveResourcesInfo().includes('TCPSocketWrap')) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What is left once garbage is collected. Bytes. */
async function measure(): Promise<number> {
  // The twin's notes, not the mirror's.
  content.requests.length = 0;
  for (let turn = 0; turn < 4; turn++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.on('message', async (question) => {
  if (question === 'state at rest') await rest();
  process.send?.({ bytes: await measure(), open: content.open, log });
});
process.on('disconnect', () => process.exit());
await mirror.listen(ADDRESSES);
process.send?.({ addresses: mirror.addresses });
