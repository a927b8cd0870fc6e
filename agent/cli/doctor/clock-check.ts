import { spanText } from '../units.ts';
import { type Finding, ok, warn } from './finding.ts';
import type { Probe } from './probe.ts';

const NAME = 'clock';

/** Beyond it, certificates and tokens begin to look expired, and signed tags dated ahead. Milliseconds. */
const MOST = 60_000;

/** The clock of this host against those of the registries. */
export function judgeClock(probes: readonly Probe[]): Finding {
  const skews = probes.flatMap(({ registry }) => (typeof registry === 'string' ? [] : (registry.skew ?? [])));
  // Where one of several is far off, it is that one: the nearest speaks for us.
  const [skew] = skews.sort((one, other) => Math.abs(one) - Math.abs(other));
  if (skew === undefined)
    return warn(NAME, 'not compared: no registry told the time', 'see that it is right: timedatectl');
  const seconds = Math.abs(skew) / 1000;
  if (Math.abs(skew) <= MOST) return ok(NAME, `within ${Math.max(1, Math.ceil(seconds))} s of a registry’s`);
  const direction = skew > 0 ? 'behind' : 'ahead of';
  return warn(NAME, `${spanText(seconds)} ${direction} the registries’`, 'set it: timedatectl set-ntp true');
}
