import assert from 'node:assert/strict';
import { type Case, forEachAlgorithm, get, head } from '../case.ts';
import { partsOf } from '../parts.ts';
import { newBlob } from '../target.ts';
import { Wire } from '../wire.ts';

const SECTION = 'Pulling Blobs (end-2); RFC 9110, 14.2';
const MIB = 1024 * 1024;
const SIZE = 8 * MIB + 99;

/** Parts that containerd takes a layer in. */
const PARTS = 8;

/** How clients fetch a layer, request by request. */
export const fetchingCases: Case[] = [
  ...forEachAlgorithm((algorithm) => ({
    title: 'a body that was left half-way is taken up at the byte',
    section: SECTION,
    client: 'dockerd, containerd, podman',
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, SIZE);
      const wire = await Wire.open(target);
      const half = await wire.begin({ path }, 3 * MIB);
      wire.close();
      const rest = await get(target, path, `Range: bytes=${half.body.length}-`);
      assert.equal(rest.status, 206);
      assert.equal(rest.header('content-range'), `bytes ${half.body.length}-${SIZE - 1}/${SIZE}`);
      assert.ok(Buffer.concat([half.body, rest.body]).equals(bytes));
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'open-ended ranges at once, each left once its part is there',
    section: SECTION,
    client: 'containerd 2.1 and later, in parallel',
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, SIZE);
      const length = Math.ceil(SIZE / PARTS);
      const part = async (start: number) => {
        const wire = await Wire.open(target);
        try {
          const wanted = Math.min(length, SIZE - start);
          const answer = await wire.begin({ path, headers: [`Range: bytes=${start}-`] }, wanted);
          assert.equal(answer.status, 206);
          assert.equal(answer.header('content-range'), `bytes ${start}-${SIZE - 1}/${SIZE}`);
          return answer.body;
        } finally {
          wire.close();
        }
      };
      const first = await part(0);
      const others = Array.from({ length: PARTS - 1 }, (_, at) => part((at + 1) * length));
      assert.ok(Buffer.concat([first, ...(await Promise.all(others))]).equals(bytes));
    },
  })),
  ...forEachAlgorithm((algorithm) => ({
    title: 'two bytes, HEAD, the end, then many small ranges at once',
    section: SECTION,
    client: 'stargz-snapshotter',
    async run(target) {
      const { path, bytes } = await newBlob(target, algorithm, SIZE);
      assert.equal((await get(target, path, 'Range: bytes=0-1')).status, 206);
      assert.equal((await head(target, path)).header('content-length'), String(SIZE));
      const footer = await get(target, path, `Range: bytes=${SIZE - 51}-${SIZE - 1}`);
      assert.ok(footer.body.equals(bytes.subarray(-51)));
      const ranges = Array.from({ length: 60 }, (_, at) => `${at * 100_000}-${at * 100_000 + 4095}`);
      const parts = partsOf(await get(target, path, `Range: bytes=${ranges.join(',')}`));
      assert.equal(parts.length, ranges.length);
      for (const { start, bytes: part } of parts) assert.ok(part.equals(bytes.subarray(start, start + 4096)));
    },
  })),
];
