import assert from 'node:assert/strict';
import { request } from 'node:http';

/** What a client was told. */
export type Told =
  | { readonly kind: 'right'; readonly mediaType: string }
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message: string }
  /** Headers, and a body that ended before it was whole. */
  | { readonly kind: 'cut'; readonly length: number };

/**
 * Asks a mirror for something, over a connection of its own, and judges what comes: the right bytes, one error as the
 * OCI distribution spec has it, or a body that ends short. Anything else fails the test.
 * @param within milliseconds for all of it
 */
export async function told(url: string, right: Uint8Array, within: number): Promise<Told> {
  const { status, headers, body, isWhole } = await get(url, within);
  if (status === 200) {
    assert.equal(headers['content-length'], String(right.length), url);
    if (!isWhole) return { kind: 'cut', length: body.length };
    assert.ok(body.equals(right), `${url}: whole and wrong`);
    return { kind: 'right', mediaType: headers['content-type'] ?? '' };
  }
  assert.ok(isWhole, `${url}: ${status} ends short`);
  assert.equal(headers['content-type'], 'application/json', url);
  assert.equal(headers['www-authenticate'], undefined);
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] };
  assert.equal(errors.length, 1, url);
  const { code, message } = errors[0]!;
  assert.match(code, /^[A-Z]+(_[A-Z]+)*$/);
  assert.ok(message.length > 0 && !message.includes('\n') && message.length < 500, message);
  return { kind: 'error', status, code, message };
}

function get(url: string, within: number) {
  return new Promise<{ status: number; headers: Record<string, string>; body: Buffer; isWhole: boolean }>(
    (resolve, reject) => {
      const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
      const asking = request(url, { agent: false, headers: { accept }, signal: AbortSignal.timeout(within) });
      asking.on('error', (error) => reject(new Error(`${url}: nothing within ${within} ms`, { cause: error })));
      asking.on('response', (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        const end = (isWhole: boolean): void =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            body: Buffer.concat(pieces),
            isWhole,
          });
        response.on('error', () => end(false));
        response.on('end', () => end(response.complete));
      });
      asking.end();
    },
  );
}
