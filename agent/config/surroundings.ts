import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** What of the process decides about defaults. */
export interface Surroundings {
  readonly isRoot: boolean;
  readonly home: string;
  /** Relative paths are relative to it. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function surroundings(): Surroundings {
  return { isRoot: process.getuid?.() === 0, home: homedir(), cwd: process.cwd(), env: process.env };
}

/** `/var/lib/layerlan` as root, else `$XDG_STATE_HOME/layerlan`. */
export function defaultStorePath(around: Surroundings): string {
  return around.isRoot ? '/var/lib/layerlan' : join(xdg(around, 'XDG_STATE_HOME', '.local/state'), 'layerlan');
}

/** `/etc/layerlan/layerlan.yaml` as root, else `$XDG_CONFIG_HOME/layerlan/layerlan.yaml`. */
export function defaultConfigFile(around: Surroundings): string {
  if (around.isRoot) return '/etc/layerlan/layerlan.yaml';
  return join(xdg(around, 'XDG_CONFIG_HOME', '.config'), 'layerlan', 'layerlan.yaml');
}

/** An absolute path, without a slash behind it; `~/` is the home, which no shell has put in for what stands in a file. */
export function absolutePath(path: string, around: Surroundings): string {
  return path === '~' || path.startsWith('~/') ? resolve(around.home, `.${path.slice(1)}`) : resolve(around.cwd, path);
}

/** The XDG base directory spec: a relative value is to be ignored. */
function xdg(around: Surroundings, variable: string, fallback: string): string {
  const value = around.env[variable];
  return value?.startsWith('/') ? value : join(around.home, fallback);
}
