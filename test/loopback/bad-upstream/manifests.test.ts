import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { begin, flipped, run, type Trial, where, withHeaders } from '../../support/bad-upstream/trial.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const PAGE = Buffer.from('<html>Log in to the guest network</html>');
const TYPED = 'content-type: application/vnd.oci.image.manifest.v1+json';

const failed = (message: RegExp) => ({ status: 502, message });
const stalled = (message: RegExp) => ({ status: 504, message });
const isGet = ({ method }: { method: string }) => method === 'GET';

const TRIALS: Omit<Trial, 'on'>[] = [
  { name: 'no Content-Type', does: withHeaders({ 'content-type': undefined }), told: 'right' },
  { name: 'text/html for one', does: withHeaders({ 'content-type': 'text/html; charset=utf-8' }), told: 'right' },
  { name: 'the type of an index for a manifest', does: withHeaders({ 'content-type': OCI_INDEX }), told: 'right' },
  {
    name: 'a type no header may hold',
    does: withHeaders({ 'content-type': 'application/\xe2\x82\xac' }),
    told: 'right',
  },
  {
    name: 'neither Content-Type nor digest',
    does: withHeaders({ 'content-type': undefined, 'docker-content-digest': undefined }),
    told: 'right',
  },
  {
    name: 'other bytes of the same length',
    does: ({ right, send }) => send(200, right.headers, flipped(right.body)),
    told: failed(/sent something else/),
  },
  {
    name: 'a digest that nothing has',
    does: withHeaders({ 'docker-content-digest': `sha256:${'0'.repeat(64)}` }),
    told: { status: 404, message: /has no manifest sha256:0000/ },
  },
  {
    name: 'a login page, in JSON',
    does: ({ send }) => send(200, { 'content-type': 'application/json', 'content-length': 2 }, Buffer.from('{}')),
    told: failed(/no manifest/),
  },
  { name: 'nothing, with a 200', does: ({ send }) => send(200, { 'content-length': 0 }), told: failed(/no manifest/) },
  { name: 'no Content-Length', does: ({ right, send }) => send(200, {}, right.body, true), told: 'right' },
  {
    name: 'a Content-Length too long, and the end',
    does: ({ right, send }) => send(200, { ...right.headers, 'content-length': 999 }, right.body, true),
    told: failed(/broke the connection/),
  },
  {
    name: 'a Content-Length too long, and silence',
    does: ({ right, send }) => send(200, { ...right.headers, 'content-length': 999 }, right.body),
    told: stalled(/sent nothing for/),
  },
  {
    name: 'a Content-Length too short',
    does: ({ right, send }) => send(200, { ...right.headers, 'content-length': right.body.length - 9 }, right.body),
    told: failed(/sent something else/),
  },
  { name: 'a negative Content-Length', does: withHeaders({ 'content-length': -5 }), told: failed(/no HTTP/) },
  {
    name: 'two Content-Lengths',
    does: withHeaders({ 'content-length': ['9', '400'] }),
    told: failed(/CONTENT_LENGTH|no HTTP/),
  },
  {
    name: 'a body in chunks',
    does: ({ right, send }) => {
      const size = Buffer.from(`${right.body.length.toString(16)}\r\n`);
      const { 'content-length': _, ...headers } = right.headers;
      const chunked = Buffer.concat([size, right.body, Buffer.from('\r\n0\r\n\r\n')]);
      send(200, { ...headers, 'transfer-encoding': 'chunked' }, chunked);
    },
    told: 'right',
  },
  {
    name: 'a Content-Length with a body in chunks',
    does: ({ right, send }) =>
      send(200, { ...right.headers, 'transfer-encoding': 'chunked' }, Buffer.from('0\r\n\r\n')),
    told: failed(/CONTENT_LENGTH|no HTTP/),
  },
  {
    name: 'gzip that nobody asked for',
    does: ({ right, send }) => {
      const body = gzipSync(right.body);
      send(200, { ...right.headers, 'content-encoding': 'gzip', 'content-length': body.length }, body);
    },
    told: failed(/gzip/),
  },
  {
    name: 'headers without end',
    does: (asked) => {
      begin(asked);
      asked.endless('x: y\r\n'.repeat(500));
    },
    told: failed(/headers without end/),
  },
  {
    name: 'a header by a byte a second',
    does: (asked) => {
      begin(asked, 'x: ');
      asked.endless('x', 1000);
    },
    told: stalled(/does not answer/),
  },
  {
    name: 'interim answers without end',
    does: ({ endless }) => endless('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', 100),
    told: failed(/headers without end/),
  },
  {
    name: 'a body without end',
    does: where(isGet, (asked) => {
      begin(asked, TYPED, '');
      asked.endless(' '.repeat(50_000));
    }),
    told: failed(/more than 4194304 bytes/),
  },
  {
    name: 'a body without end to a HEAD',
    does: where(
      (asked) => !isGet(asked),
      (asked) => {
        begin(asked, TYPED, '');
        asked.endless(' '.repeat(50_000));
      },
    ),
    told: 'right',
  },
  {
    name: 'trailers without end',
    does: where(isGet, (asked) => {
      begin(asked, TYPED, 'transfer-encoding: chunked', '', '1', '{', '0');
      asked.endless('x: y\r\n'.repeat(500));
    }),
    told: failed(/headers without end/),
  },
  {
    name: 'a body by a byte a second',
    does: where(isGet, (asked) => {
      begin(asked, TYPED, '');
      asked.endless(' ', 1000);
    }),
    told: stalled(/did not send all within|did not answer within/),
  },
  { name: 'a reset', does: ({ socket }) => socket.resetAndDestroy(), told: failed(/broke the connection/) },
  { name: 'something else than HTTP', does: ({ socket }) => socket.end('\0SSH-2.0\r\n\r\n'), told: failed(/no HTTP/) },
  { name: 'a 204', does: ({ send }) => send(204, {}), told: failed(/answered 204/) },
  { name: 'a 101', does: ({ send }) => send(101, { connection: 'upgrade', upgrade: 'x' }), told: failed(/broke/) },
  {
    name: 'a redirect in circles',
    does: ({ path, send }) => send(302, { location: path, 'content-length': 0 }),
    told: failed(/circles/),
  },
  {
    name: 'a redirect in circles, slowly',
    does: ({ path, send }) => void setTimeout(() => send(302, { location: path, 'content-length': 0 }), 6_000),
    told: stalled(/did not answer within/),
  },
  {
    name: 'a redirect to a file',
    does: ({ send }) => send(302, { location: 'file:///etc/passwd', 'content-length': 0 }),
    told: failed(/no address/),
  },
  ...['99999999999999', '-1', 'soon', 'Fri, 31 Dec 9999 23:59:59 GMT'].map((wait) => ({
    name: `a 429 with Retry-After: ${wait}`,
    does: ({ send }: Parameters<Trial['does']>[0]) => send(429, { 'retry-after': wait, 'content-length': 0 }),
    told: { status: 503, message: /limits our rate/ },
  })),
  {
    name: 'a 503, and then the answer',
    does: where(
      ({ before }) => before === 0,
      ({ send }) => send(503, { 'content-length': 0 }),
    ),
    told: 'right',
  },
];

describe('a registry that answers for a manifest with', { concurrency: 6 }, () => {
  for (const trial of TRIALS) test(trial.name, () => run({ ...trial, on: 'manifest' }));
});

test('a login page in place of everything', () =>
  run({
    name: 'a login page',
    on: 'any',
    does: ({ send }) => send(200, { 'content-type': 'text/html', 'content-length': PAGE.length }, PAGE),
    told: failed(/answered with a web page when asked for a manifest: a login page/),
  }));
