import { z } from 'zod';
import { type Command, followAgent } from './command.ts';
import { configOf } from './options.ts';
import { printable } from './printable.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import { shareText, sizeText, spanText } from './units.ts';

export interface LsOptions extends QueryOptions {
  readonly blobs?: boolean;
}

const imageSchema = z.object({
  /** null: a manifest that no tag and no pin leads to. */
  image: z.string().nullable(),
  digest: z.string(),
  platforms: z.object({ held: z.number(), named: z.number() }),
  blobs: z.number(),
  /** Bytes, also below. */
  size: z.number(),
  held: z.object({ blobs: z.number(), size: z.number() }),
  lastUsed: z.iso.datetime().nullable(),
  pinned: z.boolean(),
  private: z.boolean(),
  holders: z.number(),
});

const blobSchema = z.object({
  digest: z.string(),
  size: z.number(),
  /** null for what is no manifest. */
  mediaType: z.string().nullable(),
  lastUsed: z.iso.datetime(),
  checkedAt: z.iso.datetime(),
  pinned: z.boolean(),
  private: z.boolean(),
  holders: z.number(),
});

type ListedImage = z.infer<typeof imageSchema>;
type ListedBlob = z.infer<typeof blobSchema>;

/** `layerlan ls`: what the running agent holds. @throws AgentError CONFIG_…, AGENT_NOT_RUNNING */
export async function ls(options: LsOptions, terminal: Terminal): Promise<void> {
  const ask = { name: 'ls', parameters: options.blobs === true ? { blobs: 'true' } : {}, what: 'list what it holds' };
  const now = Date.now();
  if (options.blobs === true) {
    await list(ask, blobSchema, (blob) => blobText(blob, now), BLOB_HEADING, 'No blob is held.', options, terminal);
  } else {
    const line = (image: ListedImage) => imageText(image, now);
    await list(ask, imageSchema, line, IMAGE_HEADING, 'No image is held.', options, terminal);
  }
}

/** Line by line as they come: there may be a hundred thousand. */
async function list<Listed>(
  command: Command,
  schema: z.ZodType<Listed>,
  textOf: (listed: Listed) => string,
  heading: string,
  none: string,
  options: LsOptions,
  terminal: Terminal,
): Promise<void> {
  let count = 0;
  for await (const { answer, json } of followAgent(configOf(options), command, schema)) {
    if (options.json !== true && count === 0) await terminal.out(`${heading}\n`);
    await terminal.out(options.json === true ? `${JSON.stringify(json)}\n` : `${textOf(answer)}\n`);
    count += 1;
  }
  if (options.json !== true && count === 0) await terminal.out(`${none}\n`);
}

/** Of a digest that is shown short: docker's length. */
const SHORT = 'sha256:'.length + 12;

const IMAGE_WIDTHS = [SHORT, 9, 6, 13, 4, 15];
const BLOB_WIDTHS = [9, 13, 13, 4, 15];

/** Columns of fixed width, since the first is printed before the last is known; names come last. */
const IMAGE_HEADING = cells(['DIGEST', 'SIZE', 'HELD', 'USED', 'LAN', 'FLAGS', 'IMAGE']);
const BLOB_HEADING = cells(['SIZE', 'USED', 'CHECKED', 'LAN', 'FLAGS', 'DIGEST'], BLOB_WIDTHS);

/** @param now milliseconds since the epoch */
export function imageText(image: ListedImage, now: number): string {
  const { digest, size, lastUsed, holders } = image;
  return cells([
    printable(digest).slice(0, SHORT),
    sizeText(size),
    heldText(image),
    lastUsed === null ? '–' : agoText(lastUsed, now),
    String(holders),
    flagsText(image),
    image.image === null ? '–' : printable(image.image),
  ]);
}

/** @param now milliseconds since the epoch */
export function blobText(blob: ListedBlob, now: number): string {
  const { digest, size, mediaType, lastUsed, checkedAt, holders } = blob;
  const name = mediaType === null ? printable(digest) : `${printable(digest)} ${printable(mediaType)}`;
  const used = [agoText(lastUsed, now), agoText(checkedAt, now)];
  return cells([sizeText(size), ...used, String(holders), flagsText(blob), name], BLOB_WIDTHS);
}

/** `all`, `37 %` of the bytes; `index`: no platform of it; `none`: not even its manifest. */
function heldText({ size, held, blobs, platforms }: ListedImage): string {
  if (held.blobs === 0) return 'none';
  if (platforms.named > 0 && platforms.held === 0) return 'index';
  if (held.blobs === blobs) return 'all';
  // What is nearly all is not all.
  return held.size >= 0.995 * size ? '99 %' : shareText(held.size, size);
}

function agoText(time: string, now: number): string {
  return spanText((now - Date.parse(time)) / 1000);
}

function flagsText({ pinned, private: isPrivate }: { pinned: boolean; private: boolean }): string {
  const flags = [...(pinned ? ['pinned'] : []), ...(isPrivate ? ['private'] : [])];
  return flags.length === 0 ? '–' : flags.join(',');
}

function cells(row: readonly string[], widths: readonly number[] = IMAGE_WIDTHS): string {
  return row
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}
