import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Asked } from '../../support/bad-upstream/registry.ts';
import { begin, flipped, run, type Trial, withHeaders } from '../../support/bad-upstream/trial.ts';

const PAGE = Buffer.from('<html>Log in to the guest network</html>');
const MIB = 1024 * 1024;

const failed = (message: RegExp) => ({ status: 502, message });

/** Sends the right answer up to somewhere in the middle, and resets the connection. */
function breakOff({ right, send, socket }: Asked, at = MIB + 7): void {
  send(right.status, right.headers, right.body.subarray(0, at));
  setTimeout(() => socket.resetAndDestroy(), 50);
}

/** Breaks off the whole, and does this to who takes it up again. */
const whenResumed =
  (does: Trial['does']): Trial['does'] =>
  (asked) =>
    asked.headers.has('range') ? does(asked) : breakOff(asked);

const TRIALS: Omit<Trial, 'on'>[] = [
  { name: 'text/html', does: withHeaders({ 'content-type': 'text/html' }), told: 'right' },
  { name: 'no Content-Type', does: withHeaders({ 'content-type': undefined }), told: 'right' },
  {
    name: 'a login page',
    does: ({ send }) => send(200, { 'content-type': 'text/html', 'content-length': PAGE.length }, PAGE),
    told: failed(/its manifest says/),
  },
  {
    name: 'other bytes of the same length',
    does: ({ right, send }) => send(right.status, right.headers, flipped(right.body)),
    told: 'cut',
  },
  {
    name: 'a Content-Length too long, and the end',
    does: ({ right, send }) =>
      send(right.status, { ...right.headers, 'content-length': right.body.length + 9 }, right.body, true),
    told: failed(/its manifest says/),
  },
  {
    name: 'a Content-Length too short',
    does: ({ right, send }) =>
      send(right.status, { ...right.headers, 'content-length': right.body.length - 9 }, right.body),
    told: failed(/its manifest says/),
  },
  {
    name: 'no Content-Length',
    does: ({ right, send }) => {
      const { 'content-length': _, ...headers } = right.headers;
      send(right.status, headers, right.body, true);
    },
    told: 'right',
  },
  { name: 'a negative Content-Length', does: withHeaders({ 'content-length': -5 }), told: failed(/no HTTP/) },
  {
    name: 'two Content-Lengths',
    does: withHeaders({ 'content-length': ['9', '400'] }),
    told: failed(/CONTENT_LENGTH|no HTTP/),
  },
  {
    name: 'gzip that nobody asked for',
    does: ({ right, send }) => {
      const body = gzipSync(right.body);
      send(right.status, { ...right.headers, 'content-encoding': 'gzip', 'content-length': body.length }, body);
    },
    told: failed(/compresses a blob \(gzip\)/),
  },
  {
    name: 'a part that nobody asked for',
    does: ({ send }) => send(206, { 'content-range': 'bytes 5-9/3145739', 'content-length': 5 }, Buffer.alloc(5)),
    told: failed(/a range that was not asked for/),
  },
  { name: 'a reset in the middle, once', does: whenResumed(withHeaders({})), told: 'right' },
  {
    name: 'a reset in the middle, and the whole to who takes it up again',
    does: whenResumed(({ whole, send }) => send(200, { 'content-length': whole.length }, whole)),
    told: 'right',
  },
  {
    name: 'a reset in the middle, and from then on another part than was asked for',
    does: whenResumed(withHeaders({ 'content-range': `bytes 0-${2 * MIB}/3145739` })),
    told: 'cut',
  },
  {
    name: 'a reset in the middle, and from then on a part of something longer',
    does: whenResumed(({ right, send }) => {
      const range = String(right.headers['content-range']).replace('/3145739', '/3145800');
      send(206, { ...right.headers, 'content-range': range }, right.body);
    }),
    told: 'cut',
  },
  {
    name: 'a reset behind the headers, always',
    does: (asked) => breakOff(asked, 0),
    told: failed(/broke the connection/),
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
    name: 'interim answers without end',
    does: ({ endless }) => endless('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'),
    told: failed(/headers without end/),
  },
  // The client is given headers after 5 s: what fails later can only end short.
  {
    name: 'a header by a byte a second',
    does: (asked) => {
      begin(asked, 'x: ');
      asked.endless('x', 1000);
    },
    told: 'cut',
  },
  {
    name: 'interim answers, one a few seconds',
    does: ({ endless }) => endless('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', 4_000),
    told: 'cut',
  },
  {
    name: 'a body without end',
    does: (asked) => {
      begin(asked, '');
      asked.endless(Buffer.alloc(50_000));
    },
    told: 'cut',
  },
  {
    name: 'a redirect in circles',
    does: ({ path, send }) => send(307, { location: path, 'content-length': 0 }),
    told: failed(/circles/),
  },
  {
    name: 'a redirect to a file',
    does: ({ send }) => send(307, { location: 'file:///etc/passwd', 'content-length': 0 }),
    told: failed(/no address/),
  },
];

describe('a registry that answers for a blob with', { concurrency: 6 }, () => {
  for (const trial of TRIALS) test(trial.name, () => run({ ...trial, on: 'blob' }));
});
