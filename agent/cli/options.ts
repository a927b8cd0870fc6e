import { type Config, loadConfig } from '../config/load.ts';

/** What `--config` and `--set` were given. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set?: readonly string[];
}

/** The configuration that a command's options mean. @throws AgentError CONFIG_INVALID, CONFIG_UNREADABLE */
export function configOf(options: ConfigOptions): Config {
  return loadConfig({ file: options.config, set: options.set });
}
