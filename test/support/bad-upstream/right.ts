import { randomUUID } from 'node:crypto';
import { bytesOf } from '../content.ts';
import { type GeneratedImage, generateImage } from '../upstream-image.ts';

const MIB = 1024 * 1024;

/** What part of a registry is asked: `storage` is where blobs may be sent to, beside it. */
export type Kind = 'manifest' | 'blob' | 'token' | 'storage' | 'other';

/** What a careful registry says. */
export interface Right {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: Buffer;
}

/** Who may pass. */
export interface DoorOptions {
  /** `bearer` wants a token of its own `/token`; `basic`, this user and password. @default everybody may pass */
  readonly door?: 'bearer' | { readonly basic: () => string };
  /** Where tokens are to be had. @default its own `/token` */
  readonly realm?: string;
}

/** What a registry with one image, `library/app:latest`, says where it does all as it should. */
export interface RightAnswers {
  readonly image: GeneratedImage;
  /** All of a blob; undefined where there is none at the path. */
  contentAt(path: string): Buffer | undefined;
  /** @param origin the registry's own, for its challenges */
  answer(kind: Kind, path: string, headers: ReadonlyMap<string, string>, origin: string): Right;
  /** No token given out so far counts any more. */
  expireTokens(): void;
}

export function createRightAnswers(options: DoorOptions): RightAnswers {
  const image = generateImage({ layers: [3 * MIB + 11] });
  const tokens = new Set<string>();

  const contentAt = (path: string): Buffer | undefined => {
    const content = [...image.blobs].find(([digest]) => digest === referenceIn(path))?.[1];
    return content && bytesOf(content);
  };

  const answer = (kind: Kind, path: string, headers: ReadonlyMap<string, string>, origin: string): Right => {
    const range = headers.get('range');
    if (kind === 'token') {
      const token = randomUUID();
      tokens.add(token);
      return json(200, { token, expires_in: 300 });
    }
    const challenge =
      kind === 'manifest' || kind === 'blob' ? challengeTo(headers.get('authorization'), origin) : undefined;
    if (challenge !== undefined) {
      const refused = json(401, { errors: [{ code: 'UNAUTHORIZED', message: 'log in' }] });
      return { ...refused, headers: { ...refused.headers, 'www-authenticate': challenge } };
    }
    const reference = referenceIn(path);
    if (kind === 'manifest' && (reference === 'latest' || reference === image.manifest.digest)) {
      const { bytes, digest, mediaType } = image.manifest;
      const headers = { 'content-type': mediaType, 'docker-content-digest': digest, 'content-length': bytes.length };
      return { status: 200, headers, body: bytes };
    }
    const bytes = contentAt(path);
    if ((kind !== 'blob' && kind !== 'storage') || bytes === undefined) {
      return { status: kind === 'other' ? 200 : 404, headers: { 'content-length': 0 }, body: Buffer.alloc(0) };
    }
    const type = { 'content-type': 'application/octet-stream' };
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    if (first === undefined) return { status: 200, headers: { ...type, 'content-length': bytes.length }, body: bytes };
    const body = bytes.subarray(Number(first), last ? Number(last) + 1 : undefined);
    const part = { 'content-range': `bytes ${first}-${Number(first) + body.length - 1}/${bytes.length}` };
    return { status: 206, headers: { ...type, ...part, 'content-length': body.length }, body };
  };

  /** undefined where whoever shows this may pass. */
  const challengeTo = (authorization: string | undefined, origin: string): string | undefined => {
    const { door } = options;
    if (door === undefined) return undefined;
    if (door === 'bearer') {
      const isGood = tokens.has(authorization?.replace('Bearer ', '') ?? '');
      const realm = options.realm ?? `${origin}/token`;
      return isGood ? undefined : `Bearer realm="${realm}",service="bad",scope="repository:library/app:pull"`;
    }
    const good = `Basic ${Buffer.from(door.basic()).toString('base64')}`;
    return authorization === good ? undefined : 'Basic realm="bad"';
  };

  return { image, contentAt, answer, expireTokens: () => tokens.clear() };
}

function json(status: number, value: unknown): Right {
  const body = Buffer.from(JSON.stringify(value));
  return { status, headers: { 'content-type': 'application/json', 'content-length': body.length }, body };
}

function referenceIn(path: string): string {
  return path.split('?')[0]?.split('/').at(-1) ?? '';
}
