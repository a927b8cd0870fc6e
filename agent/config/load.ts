import type { z } from 'zod';
import { AgentError } from '../errors.ts';
import { type ConfigFile, readConfigFile } from './file.ts';
import { nearest } from './nearest.ts';
import { applyOverrides, type Override, parseOverride } from './overrides.ts';
import { createSchema, keysAt } from './schema.ts';
import { absolutePath, defaultConfigFile, type Surroundings, surroundings } from './surroundings.ts';

/** The agent's configuration: defaults filled in, paths absolute, durations in milliseconds. */
export type Config = z.output<ReturnType<typeof createSchema>>;

export interface ConfigSource {
  /** Must exist where it is given. @default the default file, if there is one */
  readonly file?: string | undefined;
  /** `key.path=value`, each stronger than the file and than those before it. @default [] */
  readonly set?: readonly string[] | undefined;
}

/**
 * Reads the configuration.
 * @throws AgentError CONFIG_INVALID with one line that names the key and, where it stands in a file, its line;
 *   CONFIG_UNREADABLE
 */
export function loadConfig(source: ConfigSource = {}, around: Surroundings = surroundings()): Config {
  const overrides = (source.set ?? []).map(parseOverride);
  const file =
    source.file === undefined
      ? readConfigFile(defaultConfigFile(around), true)
      : readConfigFile(absolutePath(source.file, around), false);
  const result = createSchema(around).safeParse(applyOverrides(file?.tree ?? {}, overrides));
  if (result.success) return result.data;
  throw new AgentError('CONFIG_INVALID', describe(result.error.issues, file, overrides, around));
}

/** The first problem, in one line: where it stands, which key, what is wrong with it. */
function describe(
  issues: readonly z.core.$ZodIssue[],
  file: ConfigFile | undefined,
  overrides: readonly Override[],
  around: Surroundings,
): string {
  // A key that was misspelt is often the reason why another is missing.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = unknown === undefined ? issue.path : [...issue.path, unknown];
  const where = placeOf(path, file, overrides);
  const key = path.length === 0 ? 'the configuration' : keyText(path);
  if (unknown === undefined) return `${where}${key} ${issue.message}.`;
  if (isCutAtDot(issue.path, where)) {
    return `${where}${key} is not a key of the configuration; a name with a dot stands in brackets: registries["ghcr.io"].`;
  }
  const known = keysAt(issue.path, around);
  const meant = nearest(unknown, known);
  const hint =
    meant === undefined ? `; known are ${known.join(', ')}` : `; did you mean ${keyText([...issue.path, meant])}?`;
  return `${where}${key} is not a key of the configuration${hint}${meant === undefined ? '.' : ''}`;
}

/** Whether a registry's name was cut in two: `--set registries.ghcr.io.deny=…`. */
function isCutAtDot([section, name, ...rest]: readonly PropertyKey[], where: string): boolean {
  return where.startsWith('--set') && section === 'registries' && rest.length === 0 && /^[^.:*]+$/.test(String(name));
}

function placeOf(path: readonly PropertyKey[], file: ConfigFile | undefined, overrides: readonly Override[]): string {
  const isWithin = (outer: readonly PropertyKey[], inner: readonly PropertyKey[]) =>
    outer.every((key, index) => key === inner[index]);
  const override = overrides.findLast((one) => isWithin(one.path, path) || isWithin(path, one.path));
  if (override !== undefined) return '--set: ';
  return file === undefined ? '' : `${file.path}:${file.lineOf(path)}: `;
}

/** A key as {@link parseOverride} reads it. */
function keyText(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`;
      const text = String(key);
      if (!/^[A-Za-z0-9_-]+$/.test(text)) return `[${JSON.stringify(text)}]`;
      return index === 0 ? text : `.${text}`;
    })
    .join('');
}
