import type { Config } from '../config/load.ts';
import { AgentError } from '../errors.ts';
import { type AgentStatus, agentStatusSchema } from '../observe/status.ts';
import { ask, parsed } from './ask.ts';

/** Milliseconds until an agent that does not answer counts as not running. */
const TIMEOUT = 3_000;

/** A running agent's status. */
export interface Answer {
  readonly status: AgentStatus;
  /** As it came: an agent of another version may say more. */
  readonly json: Record<string, unknown>;
}

/** Asks the agent that runs with this configuration. @throws AgentError AGENT_NOT_RUNNING */
export async function queryStatus(config: Config): Promise<Answer> {
  const { address, status: code, text } = await ask(config, 'GET', '/status', TIMEOUT);
  if (code !== 200) throw new AgentError('AGENT_NOT_RUNNING', `no agent answers at ${address}: it answers ${code}`);
  const json = parsed(text);
  const status = agentStatusSchema.safeParse(json);
  if (!status.success) throw new AgentError('AGENT_NOT_RUNNING', `what answers at ${address} is no layerlan agent`);
  return { status: status.data, json: json as Record<string, unknown> };
}
