import type { EventEmitter } from 'node:events';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export type StopSignal = (typeof SIGNALS)[number];

export interface Stopping {
  /** Resolves with the first signal that asks to stop. */
  readonly asked: Promise<StopSignal>;
  release(): void;
}

/** Listens on `emitter`, a process, for what asks it to stop. `onImpatience` is called with every further signal. */
export function listenForStop(emitter: EventEmitter, onImpatience: (signal: StopSignal) => void): Stopping {
  let resolve: ((signal: StopSignal) => void) | undefined;
  const asked = new Promise<StopSignal>((fulfil) => {
    resolve = fulfil;
  });
  const onSignal = (signal: StopSignal) => {
    if (resolve === undefined) return onImpatience(signal);
    resolve(signal);
    resolve = undefined;
  };
  for (const name of SIGNALS) emitter.on(name, onSignal);
  return {
    asked,
    release() {
      for (const name of SIGNALS) emitter.off(name, onSignal);
    },
  };
}
