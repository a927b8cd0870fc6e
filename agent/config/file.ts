import { closeSync, openSync, readSync } from 'node:fs';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { AgentError } from '../errors.ts';

/** A configuration file, read. */
export interface ConfigFile {
  readonly path: string;
  /** Its content as plain values; null where it is empty. */
  readonly tree: unknown;
  /** The line of a key, or of the nearest thing around it. */
  lineOf(path: readonly PropertyKey[]): number;
}

/** No configuration is that large; /dev/zero is. Bytes. */
const MAX_SIZE = 1024 * 1024;

/**
 * Reads a configuration file.
 * @returns undefined where there is none and `isOptional`
 * @throws AgentError CONFIG_UNREADABLE, CONFIG_INVALID
 */
export function readConfigFile(path: string, isOptional: boolean): ConfigFile | undefined {
  const text = readText(path, isOptional);
  if (text === undefined) return undefined;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const what = problem.message.split('\n', 1)[0]?.replace(/ at line [0-9]+, column [0-9]+:?$/, '');
    throw new AgentError('CONFIG_INVALID', `${path}:${lines.linePos(problem.pos[0]).line}: ${what}`);
  }
  return { path, tree: toPlain(document, path), lineOf: (key) => lineOf(document, lines, key) };
}

function readText(path: string, isOptional: boolean): string | undefined {
  try {
    return readBounded(path);
  } catch (error) {
    if (error instanceof AgentError) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (isOptional && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const why =
      { ENOENT: 'there is no such file', EACCES: 'permission denied', EISDIR: 'it is a directory' }[String(code)] ??
      code;
    throw new AgentError('CONFIG_UNREADABLE', `${path} cannot be read: ${why}.`, { cause: error });
  }
}

/** A pipe may be given too, so the size is not known before. */
function readBounded(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(MAX_SIZE + 1);
    let length = 0;
    for (;;) {
      const read = readSync(file, bytes, length, bytes.length - length, null);
      if (read === 0) return bytes.toString('utf8', 0, length);
      length += read;
      if (length > MAX_SIZE) throw new AgentError('CONFIG_UNREADABLE', `${path} is too large for a configuration.`);
    }
  } finally {
    closeSync(file);
  }
}

function toPlain(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Aliases that expand without end.
    const why = error instanceof Error ? error.message : String(error);
    throw new AgentError('CONFIG_INVALID', `${path}: ${why}`, { cause: error });
  }
}

function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const [depth, key] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else {
      const item = document.getIn(path.slice(0, depth + 1), true);
      if (!isNode(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    }
  }
  return lines.linePos(offset).line;
}
