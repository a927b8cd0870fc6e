import type { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { addressText, parseAddress, reachable } from '../address.ts';
import type { Agent } from '../agent.ts';
import type { Config } from '../config/load.ts';
import { createLogger, logLevel } from '../observe/log.ts';
import { VERSION } from '../version.ts';
import { leaveOutTurboFan } from './compiler.ts';
import { countBuffersWithHeap } from './heap.ts';
import { type ConfigOptions, configOf } from './options.ts';
import { listenForStop } from './stopping.ts';
import type { Terminal } from './terminal.ts';

export interface StartOptions extends ConfigOptions {
  readonly logLevel?: string;
}

/** What `start` acts on. */
export interface StartComponents {
  startAgent(components: { logger: Logger }, config: Config): Promise<Agent>;
  /** Where signals and stray errors are told: the process. */
  readonly process: EventEmitter;
  /** Ends the process at once. */
  exit(code: number): void;
  readonly logger: Logger;
}

/** Who sends SIGTERM is promised an end within 10 s. Milliseconds. */
const STOP_TIMEOUT = 9_000;

/** Exit code of an agent that was not left the time to drain, or could not go on. */
const CUT_SHORT = 1;

/**
 * `layerlan start`: runs the agent until it is asked to stop.
 * @returns the exit code
 * @throws AgentError with an `exit`, where the agent cannot start
 */
export async function start(options: StartOptions, terminal: Terminal): Promise<number> {
  const config = configOf(options);
  const logger = createLogger({ level: logLevel(options.logLevel, terminal.env) });
  countBuffersWithHeap();
  leaveOutTurboFan();
  // Loaded here, so that a wrong key is told at once and `layerlan status` need not load a whole agent.
  const { startAgent } = await import('../agent.ts');
  return await run(config, { startAgent, process, exit: (code) => process.exit(code), logger });
}

/** Runs an agent from its start to its stop. @throws what startAgent throws */
export async function run(config: Config, { startAgent, process, exit, logger }: StartComponents): Promise<number> {
  const stopping = listenForStop(process, (signal) => {
    logger.warn({ signal }, 'stopped at once');
    exit(CUT_SHORT);
  });
  // A promise that a library forgot must not end every pull of this host; what is left of it is in the log.
  const onRejection = (reason: unknown) => logger.error({ err: reason }, 'unhandled rejection');
  // After a stray exception nothing is known of the state in memory; what is on disk is made for being killed.
  const onException = (error: unknown) => {
    logger.fatal({ err: error }, 'uncaught exception');
    exit(CUT_SHORT);
  };
  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  try {
    const starting = startAgent({ logger }, config);
    // Awaited below unless a signal comes first: then its failure is nobody's.
    starting.catch(() => {});
    const isStopped = await Promise.race([stopping.asked.then(() => true), starting.then(() => false)]);
    if (!isStopped) await announce(await starting, config, logger);
    const signal = await stopping.asked;
    logger.info({ signal }, 'stopping');
    const isClean = await Promise.race([
      starting
        .then((agent) => agent.stop())
        .then(
          () => true,
          () => true,
        ),
      new Promise<false>((resolve) => setTimeout(resolve, STOP_TIMEOUT, false).unref()),
    ]);
    if (isClean) logger.info('stopped');
    else logger.warn('stopped without having let go of everything');
    return 0;
  } finally {
    stopping.release();
    process.off('unhandledRejection', onRejection);
    process.off('uncaughtException', onException);
  }
}

async function announce(agent: Agent, config: Config, logger: Logger): Promise<void> {
  const { mirror, peerId, peerAddresses } = agent;
  logger.info({ version: VERSION, mirror, peerId, peerAddresses, store: config.store.path }, 'ready');
  // Only a hint: what goes wrong with it must not end an agent that runs.
  const status = await agent.status().catch(() => undefined);
  const first = parseAddress(mirror[0] ?? '');
  if (status?.store.blobs !== 0 || first === undefined) return;
  const url = `http://${addressText(reachable(first))}`;
  logger.info(`nothing is held yet; for dockerd, put {"registry-mirrors": ["${url}"]} into /etc/docker/daemon.json`);
}
