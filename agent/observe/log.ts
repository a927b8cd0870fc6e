import { type DestinationStream, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { AgentError } from '../errors.ts';

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogInit {
  /** @default 'info' */
  readonly level?: LogLevel;
  /** Whether lines are for eyes; JSON otherwise. @default whether stdout is a terminal */
  readonly pretty?: boolean;
  /** Where lines go. @default stdout */
  readonly destination?: DestinationStream;
}

/** Keys whose values never reach a log, at the top of a line, one and two levels down. */
const SECRETS = ['authorization', 'Authorization', 'proxy-authorization', 'cookie', 'password', 'token', 'secret'];
const REDACTED = SECRETS.flatMap((key) => {
  const quoted = `["${key}"]`;
  return [quoted, `*${quoted}`, `*.*${quoted}`];
});

/**
 * The agent's log. On stdout: the log is what a foreground daemon puts out, and stderr is left to the one line that
 * says why it could not start. Written at once, in this thread: the agent says little, nothing is lost when it dies,
 * and a worker's file could not be bundled.
 */
export function createLogger(init: LogInit = {}): Logger {
  const pretty = init.pretty ?? process.stdout.isTTY === true;
  const destination = init.destination ?? pino.destination({ fd: 1, sync: true });
  const options = { level: init.level ?? 'info', redact: REDACTED, base: null };
  return pino(options, pretty ? prettyStream(destination) : destination);
}

/**
 * The level asked for: the option, else LAYERLAN_LOG_LEVEL, else info.
 * @throws AgentError CONFIG_INVALID
 */
export function logLevel(option: string | undefined, env: Readonly<Record<string, string | undefined>>): LogLevel {
  const [name, value] = option === undefined ? ['LAYERLAN_LOG_LEVEL', env.LAYERLAN_LOG_LEVEL] : ['--log-level', option];
  if (value === undefined || value === '') return 'info';
  const level = LOG_LEVELS.find((known) => known === value.toLowerCase());
  if (level !== undefined) return level;
  throw new AgentError('CONFIG_INVALID', `${name} must be one of ${LOG_LEVELS.join(', ')}, not "${value}".`);
}

/** A line at a time, in this thread: pino-pretty's own stream would lose the last lines before an exit. */
function prettyStream(destination: DestinationStream): DestinationStream {
  const prettify = prettyFactory({ translateTime: 'SYS:HH:MM:ss', ignore: 'role', singleLine: true });
  return { write: (line) => destination.write(prettify(line)) };
}
