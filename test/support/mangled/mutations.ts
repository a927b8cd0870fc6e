import type { Random } from '../simulation/random.ts';

/** Makes another request, which need not be one, of `request`. */
export type Mutation = (request: Buffer, random: Random) => Buffer;

/** Bytes that mean something to somebody who reads HTTP, paths, JSON or logs. */
const TELLING = ['\0', '\r', '\n', '\r\n', '\r\n\r\n', ' ', '\t', ':', ',', '"', '%', '%00', '%zz', '%2e%2e%2f', '../'];
const MORE = ['?', '#', '@', '//', '\\', '\x7f', '\x80', '\xff', '\x1b[31m', '%s', '<b>', '[', ']', '\u2028', '0x'];

const METHODS = ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI', 'QUERY', 'PROPFIND'];
const NO_METHODS = ['', 'get', 'GETT', 'G E T', 'FETCH', '\0GET', 'A'.repeat(300), '*', 'SOURCE', 'M-SEARCH'];
const VERSIONS = [
  '',
  'HTTP/0.9',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/3',
  'HTTP/1',
  'http/1.1',
  'RTSP/1.0',
  'HTTP/11',
];
const TARGETS = [
  ...[
    '',
    '*',
    '/',
    '//',
    '/v2',
    '/v2//',
    '/v2/%',
    '/v2/%00',
    '/..',
    '/v2/../../etc/passwd',
    'v2/',
    '?',
    '#',
    '/v2/?ns=',
  ],
  ...[
    'http://localhost/v2/',
    'http://evil.example/v2/',
    'http://',
    'https://localhost',
    'ftp://localhost/',
    'localhost:80',
  ],
  ...['/metrics', '/status', '/healthz?x', '/v2/a/tags/list?n=-1', '/v2/a/blobs/sha256:0', `/${'v2/'.repeat(1_000)}`],
];
const FIELDS = [
  ...[
    'Range: bytes=0-',
    'Range: bytes=-1',
    'Range: bytes=9-1',
    'Range: bytes=0-0,2-3',
    'Range: bytes=999999999999999999-',
  ],
  ...[
    'Range: \xff',
    'If-Range: x',
    'If-None-Match: *',
    'If-None-Match: ,,,W/"',
    'Accept: ',
    'Accept: */*;q=\x01',
    'Accept: ,,',
  ],
  ...['Host: evil.example', 'Host:', 'Host: [::1', 'Origin: null', 'Sec-Fetch-Site: cross-site', 'Accept-Version: 9.x'],
  ...[
    'Expect: 100-continue',
    'Expect: x',
    'Upgrade: h2c',
    'Connection: upgrade',
    'Connection: close',
    'Connection: \xe9',
  ],
  ...[
    'Content-Type: ;;',
    'Content-Type: application/json',
    'Cookie: a',
    '__proto__: x',
    'constructor: y',
    ': z',
    ' folded',
  ],
  ...[
    'Transfer-Encoding: gzip',
    'Transfer-Encoding: chunked, chunked',
    'TE: trailers',
    'Trailer: Host',
    'Keep-Alive: timeout=9e9',
  ],
];
const BODIES = [
  'Content-Length: 5\r\n\r\nabc',
  'Content-Length: 3\r\n\r\nabcdef',
  'Content-Length: -1\r\n\r\n',
  'Content-Length: 99999999999999999999\r\n\r\nx',
  'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc',
  'Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
  `Transfer-Encoding: chunked\r\n\r\n1;${'e'.repeat(17_000)}\r\na\r\n0\r\n\r\n`,
  `Transfer-Encoding: chunked\r\n\r\n0\r\n${'Trailer: x\r\n'.repeat(2_000)}\r\n`,
];

export const MUTATIONS: readonly Mutation[] = [
  // Bytes changed, put in, taken out, said twice, cut off.
  (request, random) => {
    const changed = Buffer.from(request);
    for (let count = random.whole(1, 8); count > 0; count--) changed[at(changed, random)] = random.whole(0, 255);
    return changed;
  },
  (request, random) => splice(request, at(request, random), 0, random.pick([...TELLING, ...MORE])),
  (request, random) => splice(request, at(request, random), random.whole(1, 20), ''),
  (request, random) => {
    const start = at(request, random);
    return splice(request, start, 0, request.toString('latin1', start, start + random.whole(1, 60)));
  },
  (request, random) => request.subarray(0, at(request, random)),
  // The first line.
  (request, random) => firstLine(request, 0, random.pick(random.chance(0.6) ? METHODS : NO_METHODS)),
  (request, random) => firstLine(request, 1, random.pick(TARGETS)),
  (request, random) => firstLine(request, 2, random.pick(VERSIONS)),
  (request, random) => firstLine(request, 1, escaped(request.toString('latin1').split(' ')[1] ?? '', random)),
  // Headers.
  (request, random) => withFields(request, random.pick(FIELDS)),
  (request, random) =>
    withFields(request, Array.from({ length: random.whole(2, 40) }, () => random.pick(FIELDS)).join('\r\n')),
  (request, random) =>
    withFields(request, `X: ${random.pick(['a', '\xff', ' ', ','])}`.padEnd(random.whole(10, 40_000), 'a')),
  (request, random) => withFields(request, 'Accept: text/plain\r\n'.repeat(random.whole(2, 1_200)).slice(0, -2)),
  (request) => Buffer.from(request.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'),
  // Bodies that lie.
  (request, random) => {
    const head = request.toString('latin1').replace(/\r\n\r\n$/, '\r\n');
    return Buffer.from(head + random.pick(BODIES), 'latin1');
  },
  // Several at once.
  (request, random) => Buffer.concat(Array.from({ length: random.whole(2, 6) }, () => request)),
];

function at(bytes: Buffer, random: Random): number {
  return random.whole(0, Math.max(0, bytes.length - 1));
}

function splice(bytes: Buffer, start: number, removed: number, added: string): Buffer {
  return Buffer.concat([bytes.subarray(0, start), Buffer.from(added, 'latin1'), bytes.subarray(start + removed)]);
}

/** With another word number `index` in the first line. */
function firstLine(request: Buffer, index: number, word: string): Buffer {
  const [line = '', ...rest] = request.toString('latin1').split('\r\n');
  const words = line.split(' ');
  words[index] = word;
  return Buffer.from([words.join(' '), ...rest].join('\r\n'), 'latin1');
}

function withFields(request: Buffer, fields: string): Buffer {
  const end = request.indexOf('\r\n');
  return splice(request, end === -1 ? request.length : end, 0, `\r\n${fields}`);
}

function escaped(target: string, random: Random): string {
  const spoilt = (letter: string) =>
    random.pick([letter, `%${letter.charCodeAt(0).toString(16)}`, '%', '%0', '%ff%fe']);
  return [...target].map((letter) => (random.chance(0.2) ? spoilt(letter) : letter)).join('');
}
