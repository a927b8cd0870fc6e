import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A secret to look for, with characters that look different in a URL and in base64. */
export const canary = () => `c4n/ry+${randomBytes(18).toString('hex')}=?&`;

/** A secret as it may leak: as it is, in base64 (of both alphabets) at each of three offsets, and in a URL. */
export function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${'x'.repeat(offset)}${secret}`).toString('base64');
    // Without what depends on its neighbours.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  const inUrls = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const plain = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
  return [...new Set([...plain, ...base64, ...inUrls, ...base64.map((text) => encodeURIComponent(text))])];
}

/** The files of a folder, at any depth, that hold one of `texts` somewhere in their bytes. */
export async function filesWith(folder: string, texts: readonly (string | Uint8Array)[]): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // A file that is renamed meanwhile has another name by now, and is read by it the next time.
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (bytes !== undefined && texts.some((text) => bytes.includes(text))) found.push(path);
  }
  return found;
}
