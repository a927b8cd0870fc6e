import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { parseContentLength, parseContentRange } from './content-range.ts';
import { discard } from './discard.ts';
import type { Answer, Ask, Question } from './question.ts';
import { isWebPage, webPage } from './web-page.ts';

/** An answer that brings a blob's bytes from somewhere at or before the offset that was asked for. */
export interface BlobAnswer {
  readonly answer: Answer;
  /** Size of the whole blob; undefined where the registry does not say. Bytes. */
  readonly size: number | undefined;
  /** The position of the first byte that comes. */
  readonly start: number;
  /** The position behind the last byte that comes; undefined where that is the blob's end, or not told. */
  readonly end: number | undefined;
  /** Whether the registry gave the part that was asked for, and not all it has. */
  readonly isRanged: boolean;
}

export function blobQuestion(
  method: 'GET' | 'HEAD',
  repository: Repository,
  digest: Digest,
  range: string | undefined,
  skip = 0,
): Question {
  const headers = {
    accept: '*/*',
    // Compressed on the way, positions would be of other bytes.
    'accept-encoding': 'identity',
    ...(range === undefined ? {} : { range }),
  };
  const lane = method === 'GET' ? 'long' : 'short';
  return { repository, resource: { kind: 'blob', reference: digest }, method, headers, lane, skip };
}

/**
 * What an answer to a GET from `offset` on brings (RFC 9110 §14, §15.3.7). A 200 brings all, whatever was asked.
 * @throws AgentError UPSTREAM_FAILED where it does not fit the question
 */
export function readBlobAnswer(answer: Answer, offset: number): BlobAnswer {
  const { statusCode: status, headers, host } = answer;
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new AgentError('UPSTREAM_FAILED', `${host} compresses a blob (${encoding}) though asked not to`);
  }
  if (status === 200) {
    const size = parseContentLength(headers['content-length']?.toString());
    return { answer, size, start: 0, end: undefined, isRanged: false };
  }
  const range = parseContentRange(headers['content-range']?.toString());
  if (status === 206 && range !== undefined && range.start === offset) {
    return { answer, size: range.size, start: offset, end: range.end, isRanged: true };
  }
  // Of a blob that has been read to its end nothing is left to send.
  if (status === 416 && range !== undefined && range.size === offset) {
    return { answer, size: offset, start: offset, end: undefined, isRanged: true };
  }
  throw new AgentError('UPSTREAM_FAILED', `${host} answered ${status} with a range that was not asked for`);
}

/**
 * A blob's size, by HEAD. Storage behind a signed URL may refuse HEAD, and some registries give no length for it, or that
 * of the body that a HEAD has not: then by a GET of the first byte.
 * @throws as {@link Ask}, and AgentError UPSTREAM_FAILED where the registry tells no size
 */
export async function headBlob(
  ask: Ask,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<{ size: number }> {
  const size =
    (await sizeByHead(ask, repository, digest, signal)) ?? (await sizeByGet(ask, repository, digest, signal));
  return { size };
}

async function sizeByHead(
  ask: Ask,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const answer = await ask(blobQuestion('HEAD', repository, digest, undefined), signal);
    await discard(answer);
    const encoding = answer.headers['content-encoding'] ?? 'identity';
    // A login page has a size too; storage that gives blobs such a type tells theirs by a Range.
    const isWhole = answer.statusCode === 200 && encoding === 'identity' && !isWebPage(answer.headers);
    const length = isWhole ? parseContentLength(answer.headers['content-length']?.toString()) : undefined;
    return length === 0 ? undefined : length;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AgentError && (error.code === 'UPSTREAM_DENIED' || error.code === 'UPSTREAM_FAILED')) {
      return undefined;
    }
    throw error;
  }
}

async function sizeByGet(ask: Ask, repository: Repository, digest: Digest, signal: AbortSignal): Promise<number> {
  const answer = await ask(blobQuestion('GET', repository, digest, 'bytes=0-0'), signal);
  const { statusCode, headers, host } = answer;
  // Compressed on the way, it tells the size of something else.
  const isPlain = (headers['content-encoding'] ?? 'identity') === 'identity';
  // Without Range this is the whole blob: its connection is closed instead.
  if (statusCode === 200) answer.body.destroy();
  else await discard(answer);
  if (statusCode === 200 && isWebPage(headers)) throw webPage(host, 'a blob');
  const size =
    statusCode === 200
      ? parseContentLength(headers['content-length']?.toString())
      : parseContentRange(headers['content-range']?.toString())?.size;
  if (size === undefined || !isPlain)
    throw new AgentError('UPSTREAM_FAILED', `${host} does not tell the size of a blob`);
  return size;
}
