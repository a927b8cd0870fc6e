/** One response as it stood on the wire. */
export interface Answer {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

const STATUS_LINE = /^HTTP\/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]*$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\x20-\x7e\x80-\xff]*)$/;

/**
 * Takes apart everything that came on a connection, and forgives nothing (RFC 9112): each response must be whole and
 * nothing may follow the last.
 * @param isHead whether the request that response number `index` answers was a HEAD; undefined: nobody can know, and
 *   either is right
 * @param mayEndShort whether the last body may lack its end
 * @throws Error that says which byte is wrong
 */
export function parseAnswers(
  bytes: Buffer,
  isHead: (index: number) => boolean | undefined,
  mayEndShort = false,
): Answer[] {
  const answers: Answer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const { status, headers, end } = parseHead(bytes, at);
    at = end;
    if (status < 200) continue;
    const length = bodyLength(status, headers, isHead(answers.length), bytes.subarray(at));
    if (at + length > bytes.length && !mayEndShort)
      throw new Error(`the body of a ${status} ends ${at + length - bytes.length} bytes early`);
    answers.push({ status, headers, body: bytes.subarray(at, at + length) });
    at += length;
  }
  return answers;
}

function parseHead(bytes: Buffer, start: number) {
  const end = bytes.indexOf('\r\n\r\n', start);
  if (end === -1) throw new Error(`no end of headers behind byte ${start}: ${bytes.toString('latin1', start)}`);
  const [first = '', ...lines] = bytes.toString('latin1', start, end).split('\r\n');
  const [, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) throw new Error(`no status line at byte ${start}: ${JSON.stringify(first)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Error(`no header: ${JSON.stringify(line)}`);
    const key = name.toLowerCase();
    if (headers.has(key)) throw new Error(`a header that is there twice: ${line}`);
    headers.set(key, value);
  }
  return { status: Number(status), headers, end: end + 4 };
}

function bodyLength(
  status: number,
  headers: ReadonlyMap<string, string>,
  isHead: boolean | undefined,
  rest: Buffer,
): number {
  if (status === 304 || isHead === true) return 0;
  const length = headers.get('content-length');
  if (length === undefined || !/^[0-9]+$/.test(length)) throw new Error(`a ${status} has no Content-Length`);
  const isBare = rest.length === 0 || rest.subarray(0, 5).toString('latin1') === 'HTTP/';
  return isHead === undefined && isBare ? 0 : Number(length);
}
