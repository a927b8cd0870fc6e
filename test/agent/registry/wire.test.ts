import assert from 'node:assert/strict';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type Answer, parseAnswers } from '../../support/http-answers.ts';
import { type Bench, dial, requestText, startMirror, until } from './support.ts';

/** What the mirror says to `text`, byte for byte, until it closes the connection. */
async function say(t: TestContext, { port }: Bench, text: string | Buffer, heads: readonly number[] = []) {
  const socket = await dial(t, port);
  socket.write(text);
  return parseAnswers(await buffer(socket), (index) => heads.includes(index));
}

function problemIn({ headers, body }: Answer): string {
  assert.equal(headers.get('content-type'), 'application/json');
  const { errors } = JSON.parse(body.toString());
  assert.equal(errors.length, 1);
  for (const key of ['code', 'message']) assert.equal(typeof errors[0][key], 'string');
  return errors[0].detail.error;
}

const BASE = requestText('/v2/');
const CLOSE = 'Connection: close\r\n';
const LAST = requestText('/healthz', CLOSE);

test('what Node’s own parser refuses gets an error like any other, and the connection ends', async (t) => {
  const bench = await startMirror(t);
  const wrong: [text: string, status: number, error: string][] = [
    ['\0\0\0\0\r\n\r\n', 400, 'REQUEST_INVALID'],
    ['GET /v2/ HTTP/9.9\r\n\r\n', 400, 'REQUEST_INVALID'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'REQUEST_INVALID'],
    ['FETCH /v2/ HTTP/1.1\r\n\r\n', 400, 'REQUEST_INVALID'],
    [requestText('/v2/', 'A header\r\n'), 400, 'REQUEST_INVALID'],
    [requestText('/v2/', 'A: b\0c\r\n'), 400, 'REQUEST_INVALID'],
    [requestText('/v2/', 'Content-Length: 1\r\nContent-Length: 2\r\n'), 400, 'REQUEST_INVALID'],
    [requestText('/v2/', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'), 400, 'REQUEST_INVALID'],
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'REQUEST_INVALID'],
    [requestText(`/v2/${'a'.repeat(20_000)}`), 431, 'HEADERS_TOO_LARGE'],
    [requestText('/v2/', `A: ${'b'.repeat(20_000)}\r\n`), 431, 'HEADERS_TOO_LARGE'],
    [requestText('/v2/', 'A: b\r\n'.repeat(5_000)), 431, 'HEADERS_TOO_LARGE'],
  ];
  for (const [text, status, error] of wrong) {
    const answers = await say(t, bench, Buffer.from(text, 'latin1'));
    const what = JSON.stringify(text.slice(0, 60));
    assert.deepEqual([answers.length, answers[0]?.status], [1, status], what);
    assert.equal(problemIn(answers[0]!), error, what);
    assert.equal(answers[0]!.headers.get('connection'), 'close', what);
  }
  assert.deepEqual(bench.log, []);
});

test('requests sent at once are answered in order, one being worked on at a time', async (t) => {
  const bench = await startMirror(t);
  const { digest, bytes } = bench.content.addBlob(3_000_000);
  let open = 0;
  bench.content.beforePiece = async () => {
    open = Math.max(open, bench.content.open);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const blob = `/v2/alpine/blobs/${digest}`;
  const text = requestText(blob) + requestText(blob, 'Range: bytes=5-9\r\n') + BASE + requestText('/x') + LAST;
  const answers = await say(t, bench, text);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 206, 200, 404, 200],
  );
  assert.ok(answers[0]!.body.equals(bytes));
  assert.ok(answers[1]!.body.equals(bytes.subarray(5, 10)));
  assert.equal(open, 1);
});

test('garbage behind a request does not harm the answer to it', async (t) => {
  const bench = await startMirror(t);
  const { digest, bytes } = bench.content.addBlob(3_000_000);
  bench.content.beforePiece = () => new Promise((resolve) => setImmediate(resolve));
  for (const garbage of ['\0garbage\r\n\r\n', 'GET / HTTP/1.1\r\nno header\r\n\r\n', 'CONNECT x:1 HTTP/1.1\r\n\r\n']) {
    const answers = await say(t, bench, requestText(`/v2/alpine/blobs/${digest}`) + BASE + garbage);
    const [blob, base, last, ...more] = answers;
    assert.deepEqual([blob?.status, base?.status], [200, 200]);
    assert.ok(blob!.body.equals(bytes));
    assert.ok(last !== undefined && last.status >= 400 && last.status < 500);
    problemIn(last);
    assert.deepEqual(more, []);
  }
});

test('more requests at once than any client has use for', async (t) => {
  const bench = await startMirror(t);
  const { digest } = bench.content.addBlob(10);
  const { promise: gate, resolve: release } = Promise.withResolvers<void>();
  bench.content.beforePiece = () => gate;
  const answered = say(t, bench, requestText(`/v2/alpine/blobs/${digest}`).repeat(2_000));
  await until(() => bench.content.open === 1);
  release();
  const answers = await answered;
  assert.ok(answers.length > 10 && answers.length < 200, `${answers.length}`);
  assert.equal(problemIn(answers.at(-1)!), 'REQUEST_INVALID');
  assert.ok(answers.slice(0, -1).every(({ status }) => status === 200));
  assert.ok(bench.content.requests.length < 200);
});

test('a client that leaves takes with it what waited behind the request under way', async (t) => {
  const { content, port } = await startMirror(t);
  const { digest } = content.addBlob(10);
  content.beforePiece = (_position, signal) => once(signal, 'abort').then(() => {});
  const socket = await dial(t, port);
  socket.write(requestText(`/v2/alpine/blobs/${digest}`).repeat(8));
  await until(() => content.open === 1);
  socket.resetAndDestroy();
  await until(() => content.open === 0);
  assert.equal(content.requests.length, 1);
});

test('CONNECT, upgrades, expectations and methods nobody has use for', async (t) => {
  const bench = await startMirror(t);
  const method = (name: string, path: string, headers = '') => requestText(path, headers).replace('GET', name);
  const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
  const cases: [text: string, status: number][] = [
    [method('CONNECT', 'evil.example:443'), 405],
    [method('CONNECT', '/v2/', 'Content-Length: 4\r\n'), 405],
    [requestText('/v2/', upgrade) + LAST, 200],
    [requestText('/v2/', `${CLOSE}Upgrade: websocket\r\n`), 200],
    [requestText('/v2/', `${CLOSE}Expect: 100-continue\r\n`), 200],
    [requestText('/v2/', `${CLOSE}Expect: a miracle\r\n`), 200],
    [method('PUT', '/v2/a/manifests/b', 'Expect: 100-continue\r\nContent-Length: 100000\r\n'), 405],
    [method('PUT', '/v2/a/manifests/b', `Content-Type: ???\r\nContent-Length: 0\r\n${CLOSE}`), 405],
    ...['PROPFIND', 'TRACE', 'QUERY', 'PURGE', 'DELETE'].map((name): [string, number] => [
      method(name, '/v2/a/tags/list', CLOSE),
      405,
    ]),
    [method('POST', '/healthz', CLOSE), 405],
    [method('OPTIONS', '*', CLOSE), 405],
  ];
  for (const [text, status] of cases) {
    const [answer] = await say(t, bench, text);
    assert.equal(answer?.status, status, JSON.stringify(text));
    if (status !== 405) continue;
    assert.equal(problemIn(answer!), 'UNSUPPORTED');
    assert.equal(answer!.headers.get('allow'), 'GET, HEAD');
  }
});

test('the forms a request may have: HTTP/1.0, absolute targets, a missing or second Host', async (t) => {
  const bench = await startMirror(t);
  const base = (line: string, headers = '') => `${line}\r\n${headers}${CLOSE}\r\n`;
  const own = `127.0.0.1:${bench.port}`;
  const cases: [text: string, status: number][] = [
    ['GET /v2/\r\n\r\n', 200],
    ['GET /v2/ HTTP/1.0\r\n\r\n', 200],
    ['GET /v2/ HTTP/1.0\r\nHost: evil.example\r\n\r\n', 403],
    [base('GET /v2/ HTTP/1.1'), 400],
    [base('GET /v2/ HTTP/1.1', 'Host:\r\n'), 403],
    [base('GET /v2/ HTTP/1.1', `Host: ${own}\r\nHost: ${own}\r\n`), 400],
    [base('GET /v2/ HTTP/1.1', `Host: ${own}\r\nHost: evil.example\r\n`), 400],
    [base(`GET http://${own}/v2/ HTTP/1.1`, `Host: ${own}\r\n`), 200],
    [base(`GET HTTP://localhost/v2/?ns=ghcr.io HTTP/1.1`, `Host: ${own}\r\n`), 200],
    // The target is what counts (RFC 9112, 3.2.2).
    [base('GET http://localhost/v2/ HTTP/1.1', 'Host: evil.example\r\n'), 200],
    [base('GET http://evil.example/v2/ HTTP/1.1', `Host: ${own}\r\n`), 403],
    [base(`GET http://a@${own}/v2/ HTTP/1.1`, `Host: ${own}\r\n`), 403],
    [base(`GET http://${own} HTTP/1.1`, `Host: ${own}\r\n`), 404],
    [base('GET ftp://localhost/v2/ HTTP/1.1', `Host: ${own}\r\n`), 404],
    [base('GET * HTTP/1.1', `Host: ${own}\r\n`), 404],
    [base('GET //v2/ HTTP/1.1', `Host: ${own}\r\n`), 404],
  ];
  for (const [text, status] of cases) {
    const answers = await say(t, bench, text);
    assert.deepEqual([answers.length, answers[0]?.status], [1, status], JSON.stringify(text));
    if (status >= 400) problemIn(answers[0]!);
  }
});

test('who sends headers byte by byte, or nothing at all, is let go with an error', async (t) => {
  const bench = await startMirror(t, { headersTimeout: 300 });
  const slow = await dial(t, bench.port);
  const bytes = requestText('/v2/', `A: ${'b'.repeat(4_000)}\r\n`);
  let sent = 0;
  const drip = setInterval(() => slow.write(bytes[sent++] ?? ''), 5);
  t.after(() => clearInterval(drip));
  const silent = await dial(t, bench.port);
  for (const socket of [slow, silent]) {
    const [answer, ...more] = parseAnswers(await buffer(socket), () => false);
    assert.equal(answer?.status, 408);
    assert.equal(problemIn(answer!), 'REQUEST_LATE');
    assert.deepEqual(more, []);
  }
  clearInterval(drip);
  assert.ok(sent < bytes.length, 'not because the request was done');
});

test('a client that sends a body it never ends does not harm the answer', async (t) => {
  const bench = await startMirror(t, { headersTimeout: 200 });
  const { digest, bytes } = bench.content.addBlob(1_000_000);
  // Longer than the time in which requests must be whole.
  bench.content.beforePiece = () => new Promise((resolve) => setTimeout(resolve, 100));
  const [answer, ...more] = await say(t, bench, requestText(`/v2/alpine/blobs/${digest}`, 'Content-Length: 9\r\n'));
  assert.ok(answer!.body.equals(bytes));
  assert.deepEqual(more, []);
});
