import { parseDocument } from 'yaml';
import { AgentError } from '../errors.ts';

/** One `--set key.path=value`. */
export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
  /** As it was given, up to the `=`. */
  readonly text: string;
}

/** Deeper than any key there is. */
const MAX_DEPTH = 8;

/**
 * Reads `key.path=value`. The value is YAML, so that lists and maps can be given; a key that holds dots stands in
 * brackets: `registries["ghcr.io"].endpoints=[http://127.0.0.1:5000]`.
 * @throws AgentError CONFIG_INVALID
 */
export function parseOverride(argument: string): Override {
  const { path, length } = parsePath(argument);
  if (path === undefined || argument[length] !== '=') {
    // What follows may be a value, and that a password.
    const shown = length < argument.length ? `${argument.slice(0, length)}…` : argument;
    throw new AgentError('CONFIG_INVALID', `--set ${shown}: it must be key.path=value.`);
  }
  const text = argument.slice(0, length);
  const document = parseDocument(argument.slice(length + 1));
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw new AgentError('CONFIG_INVALID', `--set ${text}: the value is not YAML: ${firstLine(problem.message)}`);
  }
  return { path, value: document.toJS(), text };
}

/** `tree` with the overrides in it, later ones winning. Sections that are missing are made. */
export function applyOverrides(tree: unknown, overrides: readonly Override[]): unknown {
  return overrides.reduce((result, { path, value }) => withValue(result, path, value), tree);
}

function withValue(tree: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const node = isTree(tree) ? tree : {};
  // Own keys only, and none that has a meaning of its own: __proto__ must end up as an unknown key.
  const entries = new Map(Object.entries(node));
  entries.set(key, withValue(entries.get(key), rest, value));
  return Object.fromEntries(entries);
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const BARE_KEY = /([A-Za-z0-9_-]+)/y;
const BRACKETED_KEY = /\[(?:"([^"]+)"|'([^']+)'|([^\]"']+))\]/y;

/** The keys at the beginning of `text`, and how many characters they take. */
function parsePath(text: string): { path: string[] | undefined; length: number } {
  const path: string[] = [];
  let at = 0;
  while (path.length < MAX_DEPTH) {
    const expression = text[at] === '[' ? BRACKETED_KEY : BARE_KEY;
    expression.lastIndex = at;
    const match = expression.exec(text);
    const key = match?.[1] ?? match?.[2] ?? match?.[3];
    if (key === undefined) return { path: undefined, length: at };
    path.push(key);
    at = expression.lastIndex;
    if (text[at] === '.') at += 1;
    else if (text[at] !== '[') return { path, length: at };
  }
  return { path: undefined, length: at };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/:$/, '') ?? '';
}
