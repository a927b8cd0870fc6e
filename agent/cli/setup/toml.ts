import { isDeepStrictEqual } from 'node:util';
import { parse } from 'smol-toml';
import { refused } from './plan.ts';

/** A table of a TOML file, as plain values. */
export type Table = Record<string, unknown>;

/** @throws AgentError SETUP_REFUSED where `text` is no TOML */
export function parseToml(path: string, text: string): Table {
  try {
    return parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw refused(path, `is not TOML (${why})`);
  }
}

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The table at `keys`; undefined where there is none. */
export function tableAt(table: Table, ...keys: string[]): Table | undefined {
  let at: unknown = table;
  for (const key of keys) at = isTable(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  return isTable(at) ? at : undefined;
}

/** A key of a table's header: `"docker.io"`. What stands in names of registries needs no escapes beyond JSON's. */
export function quoted(key: string): string {
  return JSON.stringify(key);
}

/**
 * `text` where it says exactly `expected`. An addition is made to the text, so that comments and layout stay, and where
 * it landed in the wrong place (behind an inline table, within a string) that is found here, not by the client.
 * @throws AgentError SETUP_REFUSED with what to add by hand
 */
export function verified(path: string, text: string, expected: Table, byHand: string): string {
  let said: unknown;
  try {
    said = parse(text);
  } catch {
    said = undefined;
  }
  if (isDeepStrictEqual(plain(said), plain(expected))) return text;
  throw refused(path, `is written in a way that cannot be added to; add by hand: ${byHand}`);
}

/** Without prototypes and classes, which a comparison would count. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value, (_key, one) => bigintText(one)));
}

function bigintText(value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

/** `text` with `addition` behind it, an empty line between. */
export function appended(text: string, addition: string): string {
  const head = text.trimEnd();
  return head === '' ? addition : `${head}\n\n${addition}`;
}
