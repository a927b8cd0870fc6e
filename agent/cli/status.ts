import { type ConfigOptions, configOf } from './options.ts';
import { queryStatus } from './query.ts';
import { statusText } from './status-text.ts';
import type { Terminal } from './terminal.ts';

export interface QueryOptions extends ConfigOptions {
  readonly json?: boolean;
}

/** `layerlan status`. @throws AgentError CONFIG_…, AGENT_NOT_RUNNING */
export async function status(options: QueryOptions, terminal: Terminal): Promise<void> {
  const answer = await queryStatus(configOf(options));
  await terminal.out(options.json === true ? `${JSON.stringify(answer.json, null, 2)}\n` : statusText(answer.status));
}
