import { configOf } from './options.ts';
import { peersText } from './peers-text.ts';
import { queryStatus } from './query.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';

/** `layerlan peers`. @throws AgentError CONFIG_…, AGENT_NOT_RUNNING */
export async function peers(options: QueryOptions, terminal: Terminal): Promise<void> {
  const { status } = await queryStatus(configOf(options));
  const text =
    options.json === true ? `${JSON.stringify({ peers: status.peers }, null, 2)}\n` : peersText(status.peers);
  await terminal.out(text);
}
