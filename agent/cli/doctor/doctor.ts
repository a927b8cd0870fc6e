import { join, resolve } from 'node:path';
import { addressText, parseAddress } from '../../address.ts';
import type { Config } from '../../config/load.ts';
import { isAgentError } from '../../errors.ts';
import type { AgentStatus } from '../../observe/status.ts';
import { readRegistries } from '../../registries.ts';
import type { RegistryEndpoints } from '../../upstream/options.ts';
import { createProxyRule, type ProxyFor } from '../../upstream/proxy-rule.ts';
import { type ConfigOptions, configOf } from '../options.ts';
import { queryStatus } from '../query.ts';
import { findVersion } from '../setup/client-version.ts';
import { diskTree } from '../setup/disk-tree.ts';
import { homeFor } from '../setup/setup.ts';
import { wantedOf } from '../setup/wanted.ts';
import type { Terminal } from '../terminal.ts';
import { judgeAgent, listenerAt, lookAtPeerPorts, mirrorAddress } from './agent-check.ts';
import { checkClient, installedIn } from './clients-check.ts';
import { judgeClock } from './clock-check.ts';
import { clientsElsewhere, containerMark, judgeContainers } from './container-check.ts';
import { checkCredentials } from './credentials-check.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { judgeLanes } from './lanes-check.ts';
import { judgeMdns, judgeNetworkKey, judgePeers } from './peers-check.ts';
import { createProber, type Probe } from './probe.ts';
import { processesIn } from './processes.ts';
import { judgeProxy } from './proxy-check.ts';
import { judgeStore, lookAtStore } from './store-check.ts';
import { findingsText } from './text.ts';
import { isReached, judgeUpstream, probeAll } from './upstream-check.ts';

export interface DoctorOptions extends ConfigOptions {
  readonly json?: boolean;
  /** Where clients' files and /proc lie, in place of `/`. */
  readonly root?: string;
}

/** Where registries are, and the way to them. */
interface Upstream {
  readonly registries: Readonly<Record<string, RegistryEndpoints>>;
  readonly proxyFor: ProxyFor;
}

/** Exit code where something fails. */
const FAULT = 1;

/** `layerlan doctor`: looks for what is wrong and says what to do. @returns the exit code */
export async function doctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const findings = await examine(options, terminal.env);
  await terminal.out(options.json === true ? `${JSON.stringify({ findings }, null, 2)}\n` : findingsText(findings));
  return findings.some(({ state }) => state === 'fail') ? FAULT : 0;
}

async function examine(options: DoctorOptions, env: Terminal['env']): Promise<Finding[]> {
  const name = 'configuration';
  let config: Config;
  let upstream: Upstream;
  try {
    config = configOf(options);
    upstream = {
      registries: await readRegistries(config.registries),
      proxyFor: createProxyRule(config.upstream.proxy, env),
    };
  } catch (error) {
    if (!isAgentError(error)) throw error;
    // All else follows from it, so nothing else can be looked at.
    return [fail(name, error.message, 'put it right, and ask again')];
  }
  const [status, probes, credentials, clients] = await Promise.all([
    queryStatus(config).then((answer) => answer.status, asError),
    probesOf(upstream),
    checkCredentials(upstream.registries, env),
    clientFindings(config, options.root, env),
  ]);
  return [
    ok(name, 'can be read'),
    ...hostFindings(config, options.root, status),
    ...netFindings(config, status, probes, env),
    ...credentials,
    ...clients,
  ];
}

/** What is looked at on this host. */
function hostFindings(config: Config, root: string | undefined, status: AgentStatus | Error): Finding[] {
  const top = resolve(root ?? '/');
  const processes = processesIn(join(top, 'proc'));
  const address = mirrorAddress(config);
  const agent = { address: addressText(address), answer: status, listener: listenerAt(address, processes) };
  const hosts = config.mirror.listen.map((text) => parseAddress(text)!.host);
  return [
    judgeAgent(agent),
    ...(status instanceof Error ? lookAtPeerPorts(config, processes) : []),
    judgeStore(lookAtStore(config.store.path, !(status instanceof Error))),
    ...judgeContainers(containerMark(top), clientsElsewhere(processes), hosts),
  ];
}

/** What was seen of registries and peers. */
function netFindings(
  config: Config,
  status: AgentStatus | Error,
  probes: ReadonlyMap<string, Probe[]>,
  env: Terminal['env'],
): Finding[] {
  const all = [...probes.values()].flat();
  const running = status instanceof Error ? undefined : status;
  return [
    judgeMdns(running),
    judgePeers(running, config),
    judgeLanes(running, config),
    judgeNetworkKey(running, config),
    ...[...probes].map(([registry, some]) => judgeUpstream(registry, some)),
    judgeProxy(env, mirrorAddress(config).host, all.every(isReached)),
    judgeClock(all),
  ];
}

async function probesOf({ registries, proxyFor }: Upstream): Promise<Map<string, Probe[]>> {
  const prober = createProber(proxyFor);
  try {
    return await probeAll(registries, prober);
  } finally {
    await prober.close();
  }
}

async function clientFindings(config: Config, root: string | undefined, env: Terminal['env']): Promise<Finding[]> {
  const top = resolve(root ?? '/');
  const installed = installedIn(top);
  if (installed.length === 0) {
    return [warn('clients', 'none found on this host', 'point those that reach it at the mirror: layerlan setup')];
  }
  let wanted: ReturnType<typeof wantedOf>;
  try {
    wanted = wantedOf(config);
  } catch (error) {
    return [warn('clients', asError(error).message, 'set a port in mirror.listen')];
  }
  const tree = diskTree(top);
  const home = homeFor(root);
  const version = root === undefined ? await findVersion('docker', env) : undefined;
  return installed.map((one) =>
    checkClient(one, installed, { ...wanted, home, version: one.client === 'docker' ? version : undefined }, tree),
  );
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
