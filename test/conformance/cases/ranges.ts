import assert from 'node:assert/strict';
import type { Algorithm } from '../../../protocol/digest.ts';
import { type Case, forEachAlgorithm, get, head } from '../case.ts';
import { partsOf } from '../parts.ts';
import { type AddedBlob, newBlob, type Target } from '../target.ts';
import { Wire } from '../wire.ts';

const MIB = 1024 * 1024;
const SIZE = 6 * MIB + 321;

const SHORT_416 = {
  because: 'its 416 tells the blob’s length for a body that is shorter, so that a client waits for the rest',
  seen: /of 10000 bytes early/,
};

/** How far the target has the blob when it is asked: an agent takes another way each time. */
const STATES = {
  'not asked for yet': async (_: Target, use: () => Promise<void>) => use(),
  'had before': async (target: Target, use: () => Promise<void>, { path }: AddedBlob) => {
    assert.equal((await get(target, path)).body.length, SIZE);
    await use();
  },
  'being sent to another': async (target: Target, use: () => Promise<void>, { path, bytes }: AddedBlob) => {
    const wire = await Wire.open(target);
    try {
      const begun = await wire.begin({ path }, 1000);
      await use();
      const rest = await wire.more(SIZE - 1000);
      assert.ok(Buffer.concat([begun.body, rest]).equals(bytes));
    } finally {
      wire.close();
    }
  },
};

const SINGLE: readonly [range: string, start: number, end: number, client?: string][] = [
  ['bytes=1000-1999', 1000, 2000],
  ['bytes=0-1', 0, 2, 'stargz begins with it'],
  ['bytes=0-', 0, SIZE, 'containerd’s parallel fetch begins with it'],
  [`bytes=${4 * MIB}-`, 4 * MIB, SIZE, 'dockerd, containerd and podman resume with it'],
  ['bytes=-1000', SIZE - 1000, SIZE],
  [`bytes=-${SIZE * 2}`, 0, SIZE],
  [`bytes=${MIB - 5}-${SIZE * 2}`, MIB - 5, SIZE],
];

function singleCases(algorithm: Algorithm): Case[] {
  return Object.entries(STATES).flatMap(([state, prepare]) =>
    SINGLE.map(([range, start, end, client]) => ({
      title: `Range: ${range} of ${SIZE} bytes, ${state} (${algorithm})`,
      section: 'Pulling Blobs (end-2); RFC 9110, 14.2',
      ...(client !== undefined && { client }),
      async run(target) {
        const blob = await newBlob(target, algorithm, SIZE);
        const use = async () => {
          const answer = await get(target, blob.path, `Range: ${range}`);
          assert.equal(answer.status, 206);
          assert.equal(answer.header('content-range'), `bytes ${start}-${end - 1}/${SIZE}`);
          assert.equal(answer.header('content-length'), String(end - start));
          assert.ok(answer.body.equals(blob.bytes.subarray(start, end)));
        };
        await prepare(target, use, blob);
      },
    })),
  );
}

function severalCases(algorithm: Algorithm): Case[] {
  const ranges = [
    [0, 100],
    [4 * MIB, 4 * MIB + 5000],
    [2 * MIB - 10, 2 * MIB + 10],
    [SIZE - 47, SIZE],
  ] as const;
  return Object.entries(STATES).map(([state, prepare]) => ({
    title: `several ranges are parts of one body, ${state} (${algorithm})`,
    section: 'RFC 9110, 14.6 and 15.3.7.2',
    client: 'stargz',
    async run(target) {
      const blob = await newBlob(target, algorithm, SIZE);
      const use = async () => {
        const list = ranges.map(([start, end]) => `${start}-${end - 1}`).join(',');
        const answer = await get(target, blob.path, `Range: bytes=${list}`);
        assert.equal(answer.status, 206);
        assert.equal(answer.header('content-range'), undefined);
        const parts = partsOf(answer);
        assert.deepEqual(
          parts.map(({ range }) => range),
          ranges.map(([start, end]) => `bytes ${start}-${end - 1}/${SIZE}`),
        );
        for (const [at, [start, end]] of ranges.entries()) {
          assert.ok(parts[at]?.bytes.equals(blob.bytes.subarray(start, end)));
        }
      };
      await prepare(target, use, blob);
    },
  }));
}

export const rangeCases: Case[] = [
  ...singleCases('sha256'),
  ...singleCases('sha512'),
  ...severalCases('sha256'),
  ...severalCases('sha512'),
  ...forEachAlgorithm((algorithm) => ({
    title: 'ranges that overlap come as one, as parts, or as the whole',
    section: 'RFC 9110, 15.3.7.2',
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, 10_000);
      const answer = await get(target, path, 'Range: bytes=100-299,200-399,250-260');
      if (answer.status === 200) assert.ok(answer.body.equals(bytes));
      else if (answer.header('content-range') !== undefined) assert.ok(answer.body.equals(bytes.subarray(100, 400)));
      else
        assert.ok(
          partsOf(answer).every(({ start, bytes: part }) => part.equals(bytes.subarray(start, start + part.length))),
        );
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'of several ranges those outside are passed over',
    section: 'RFC 9110, 14.1.2',
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, 10_000);
      const answer = await get(target, path, 'Range: bytes=50000-60000,10-19');
      assert.equal(answer.status, 206);
      assert.equal(answer.header('content-range'), 'bytes 10-19/10000');
      assert.ok(answer.body.equals(bytes.subarray(10, 20)));
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a range outside is 416, with the size',
    section: 'RFC 9110, 15.5.17',
    differs: SHORT_416,
    async run(target) {
      const { path } = await newBlob(target, algorithm, 10_000);
      const answer = await get(target, path, 'Range: bytes=10000-');
      assert.equal(answer.status, 416);
      assert.equal(answer.header('content-range'), 'bytes */10000');
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a range of another unit is ignored',
    section: 'RFC 9110, 14.2',
    differs: SHORT_416,
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, 10_000);
      const answer = await get(target, path, 'Range: pages=1-2');
      assert.equal(answer.status, 200);
      assert.ok(answer.body.equals(bytes));
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a range that ends before it begins is 416',
    section: 'RFC 9110, 14.1.1 and 14.2',
    client: 'OCI’s own conformance suite',
    differs: SHORT_416,
    async run(target) {
      const { path } = await newBlob(target, algorithm, 10_000);
      assert.equal((await get(target, path, 'Range: bytes=500-0')).status, 416);
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a range that breaks the grammar is ignored or refused',
    section: 'RFC 9110, 14.2',
    differs: SHORT_416,
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, 10_000);
      for (const range of ['bytes=a-b', 'bytes=', 'bytes=5']) {
        const answer = await get(target, path, `Range: ${range}`);
        if (answer.status === 200) assert.ok(answer.body.equals(bytes), range);
        else assert.ok(answer.status === 400 || answer.status === 416, `${range}: ${answer.status}`);
      }
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'a range means nothing on HEAD',
    section: 'RFC 9110, 14.2',
    differs: { because: 'it answers 206 to HEAD with a Range', seen: /206 !== 200/ },
    async run(target) {
      const { path } = await newBlob(target, algorithm, 10_000);
      const answer = await head(target, path, 'Range: bytes=5-9');
      assert.equal(answer.status, 200);
      assert.equal(answer.header('content-length'), '10000');
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'If-Range: the part where the ETag is the blob’s, else the whole',
    section: 'RFC 9110, 13.1.5',
    async run(target) {
      const { path } = await newBlob(target, algorithm, 10_000);
      const etag = (await head(target, path)).header('etag');
      const current = await get(target, path, 'Range: bytes=5-9', `If-Range: ${etag}`);
      assert.equal(current.status, 206);
      assert.equal((await get(target, path, 'Range: bytes=5-9', 'If-Range: "other"')).status, 200);
    },
  })),
];
