import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { startMirror } from './support.ts';

/** The parts of a multipart/byteranges body, read as RFC 2046 says. */
function partsOf(response: Response, body: Buffer): { range: string; type: string; bytes: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=([0-9a-f]+)$/.exec(
    response.headers.get('content-type') ?? '',
  )?.[1];
  assert.ok(boundary, String(response.headers.get('content-type')));
  const pieces = body.toString('latin1').split(`--${boundary}`);
  assert.equal(pieces[0], '');
  assert.equal(pieces.at(-1), '--\r\n');
  return pieces.slice(1, -1).map((piece) => {
    const [, head = '', bytes = ''] = /^\r\n([\s\S]*?)\r\n\r\n([\s\S]*)\r\n$/.exec(piece) ?? [];
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
    return { range: field('content-range'), type: field('content-type'), bytes: Buffer.from(bytes, 'latin1') };
  });
}

test('several ranges come as parts of one body, of the length that was told', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest, bytes } = content.addBlob(400_000);
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, {
    headers: { Range: 'bytes=100000-299999, 0-1,9999999-,-7' },
  });
  assert.equal(response.status, 206);
  assert.equal(response.headers.get('content-range'), null, 'each part has its own');
  assert.equal(response.headers.get('docker-content-digest'), digest);
  const body = Buffer.from(await response.arrayBuffer());
  assert.equal(response.headers.get('content-length'), String(body.length));
  const parts = partsOf(response, body);
  const expected = [
    [100_000, 300_000],
    [0, 2],
    [399_993, 400_000],
  ] as const;
  assert.deepEqual(
    parts.map(({ range }) => range),
    expected.map(([start, end]) => `bytes ${start}-${end - 1}/400000`),
  );
  for (const [at, [start, end]] of expected.entries()) {
    assert.equal(parts[at]?.type, 'application/octet-stream');
    assert.ok(parts[at]?.bytes.equals(bytes.subarray(start, end)));
  }
  assert.equal(content.open, 0);
});

test('several ranges of which one is left come as that one', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest, bytes } = content.addBlob(1000);
  for (const range of ['bytes=10-19,15-29', 'bytes=10-29,5000-', 'bytes=20-29,10-19']) {
    const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: { Range: range } });
    assert.equal(response.status, 206, range);
    assert.equal(response.headers.get('content-range'), 'bytes 10-29/1000');
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(10, 30)));
  }
});

test('several ranges, none of them inside: 416', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest } = content.addBlob(1000);
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: { Range: 'bytes=1000-,2000-3000' } });
  assert.equal(response.status, 416);
  assert.equal(response.headers.get('content-range'), 'bytes */1000');
  await response.arrayBuffer();
});

test('what cannot be read at all is told by a status, not by a body of one part’s headers', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest } = content.addBlob(1000);
  content.beforePiece = () => {
    throw new AgentError('UPSTREAM_UNREACHABLE', 'It is away.');
  };
  const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: { Range: 'bytes=0-1,900-901' } });
  assert.equal(response.status, 502);
  assert.equal(response.headers.get('content-type'), 'application/json');
  await response.arrayBuffer();
});

test('who names an end looks at a part; who names none goes on from there', async (t) => {
  const { url, content } = await startMirror(t);
  const { digest } = content.addBlob(1000);
  for (const range of [undefined, 'bytes=5-', 'bytes=5-9', 'bytes=-5', 'bytes=0-1,500-']) {
    const response = await fetch(`${url}/v2/alpine/blobs/${digest}`, { headers: range ? { Range: range } : {} });
    await response.arrayBuffer();
  }
  assert.deepEqual(content.reads, [
    { start: 0, end: 1000, isPart: false },
    { start: 5, end: 1000, isPart: false },
    { start: 5, end: 10, isPart: true },
    { start: 995, end: 1000, isPart: true },
    { start: 0, end: 2, isPart: true },
    { start: 500, end: 1000, isPart: false },
  ]);
});
