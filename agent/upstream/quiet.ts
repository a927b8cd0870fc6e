/** A time-out that is about what did not arrive. */
export interface QuietTimer {
  /** Counts from now again. */
  restart(): void;
  stop(): void;
}

/**
 * Calls back after `milliseconds` in which nothing stopped or restarted it. Where the event loop was busy for longer
 * than that, the loop runs timers before it looks at its sockets: so those have one turn first, or our own slowness
 * would pass for the network's.
 */
export function afterQuiet(milliseconds: number, expired: () => void): QuietTimer {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(expired);
  }, milliseconds);
  return {
    restart() {
      clearImmediate(turn);
      timer.refresh();
    },
    stop() {
      clearImmediate(turn);
      clearTimeout(timer);
    },
  };
}
