import { BLOB_DIGEST, TAG } from '../mirror-process/content.ts';
import { Random } from '../simulation/random.ts';
import { MUTATIONS } from './mutations.ts';

/** What is done to the mirror on one connection. */
export interface MangledRequest {
  /** What goes out, a write each. */
  readonly packets: readonly Buffer[];
  /**
   * What follows: a good request that asks for the connection's end, so that nothing is right to wait for more; a FIN;
   * or a reset.
   */
  readonly then: 'ask' | 'finish' | 'reset';
}

/** A good request, and the last of its connection. */
const LAST = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';

const TARGETS = [
  '/v2/',
  '/v2/?ns=ghcr.io',
  `/v2/library/alpine/manifests/${TAG}`,
  `/v2/ghcr.io/owner/image/manifests/${TAG}?ns=ghcr.io`,
  `/v2/alpine/manifests/sha256:${'0'.repeat(64)}`,
  `/v2/alpine/blobs/${BLOB_DIGEST}`,
  `/v2/alpine/blobs/sha512:${'0'.repeat(128)}`,
  '/v2/alpine/tags/list?n=10&last=v1',
  `/v2/alpine/referrers/${BLOB_DIGEST}?artifactType=x`,
  '/status',
  '/metrics',
  '/healthz',
];

const FIELDS = [
  'Accept: application/vnd.oci.image.manifest.v1+json, */*',
  'Accept-Encoding: zstd, gzip, deflate',
  'Range: bytes=100-199',
  'Range: bytes=200000-',
  `If-None-Match: "${BLOB_DIGEST}"`,
  'User-Agent: containerd/2.4',
  'Connection: keep-alive',
];

/** The mangled request of a seed, the same each time. */
export function mangledRequest(seed: number): MangledRequest {
  const random = new Random(seed);
  const method = random.chance(0.8) ? 'GET' : 'HEAD';
  const fields = FIELDS.filter(() => random.chance(0.4)).map((field) => `${field}\r\n`);
  const line = `${method} ${random.pick(TARGETS)} HTTP/1.1`;
  let bytes: Buffer = Buffer.from(`${line}\r\nHost: 127.0.0.1\r\n${fields.join('')}\r\n`, 'latin1');
  for (let count = random.pick([1, 1, 1, 2, 2, 3, 5]); count > 0; count--)
    bytes = random.pick(MUTATIONS)(bytes, random);
  const then = random.pick(['ask', 'ask', 'ask', 'ask', 'ask', 'ask', 'ask', 'ask', 'finish', 'reset'] as const);
  if (then === 'ask') bytes = Buffer.concat([bytes, Buffer.from(LAST)]);
  return { packets: split(bytes, random), then };
}

function split(bytes: Buffer, random: Random): Buffer[] {
  const packets: Buffer[] = [];
  let rest = bytes;
  for (let cuts = random.pick([0, 0, 0, 0, 0, 1, 1, 2, 5, 20]); cuts > 0 && rest.length > 1; cuts--) {
    const length = random.whole(1, rest.length - 1);
    packets.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return [...packets, rest];
}
