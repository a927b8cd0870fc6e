import { isLoopback } from '../../address.ts';
import { printable } from '../printable.ts';
import { type Finding, ok, warn } from './finding.ts';

const NAME = 'proxy';

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables by which programs are told of a proxy, in either case. */
const VARIABLES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'];

/**
 * A proxy in this process's environment. Programs written in Go never ask it for what is on loopback.
 * @param mirrorHost where clients reach the mirror
 * @param isUpstreamReached whether every registry answered
 */
export function judgeProxy(env: Environment, mirrorHost: string, isUpstreamReached: boolean): Finding {
  const set = VARIABLES.flatMap((name) => {
    const value = variable(env, name);
    return value === undefined ? [] : [`${name} names ${proxyText(value)}`];
  });
  if (set.length === 0) return ok(NAME, 'none in this environment');
  const what = set.join(', ');
  if (!isLoopback(mirrorHost) && !isSpared(variable(env, 'NO_PROXY') ?? '', mirrorHost)) {
    const advice = `add ${mirrorHost} to NO_PROXY where clients run, or the proxy is asked for the mirror`;
    return warn(NAME, `${what}, and NO_PROXY does not name ${mirrorHost}`, advice);
  }
  if (isUpstreamReached) return ok(NAME, what);
  return warn(
    NAME,
    `${what}, and not every registry was reached`,
    'see whether registries may be asked without it; the agent runs with its service’s environment, not with this one',
  );
}

function variable(env: Environment, name: string): string | undefined {
  return env[name.toLowerCase()] || env[name] || undefined;
}

/** Without the user and password that it may hold. */
function proxyText(value: string): string {
  const url = URL.parse(value.includes('://') ? value : `http://${value}`);
  return url === null ? 'something that is no URL' : printable(url.host);
}

/** Networks (10.0.0.0/8) are not looked into: not every program reads them. */
function isSpared(noProxy: string, host: string): boolean {
  return noProxy.split(',').some((entry) => {
    const one = entry
      .trim()
      .toLowerCase()
      .replace(/:[0-9]+$/, '');
    return one === '*' || one === host || (one !== '' && host.endsWith(`.${one.replace(/^\./, '')}`));
  });
}
