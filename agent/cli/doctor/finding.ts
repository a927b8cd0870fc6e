/** What a check came to. `warn`: pulls work, but not as they could, or it could not be seen. `fail`: they do not. */
export type State = 'ok' | 'warn' | 'fail';

/** One line of `layerlan doctor`. */
export interface Finding {
  readonly name: string;
  readonly state: State;
  /** What was seen. */
  readonly what: string;
  /** What to do; nothing where all is well. */
  readonly advice?: string;
}

export function ok(name: string, what: string): Finding {
  return { name, state: 'ok', what };
}

export function warn(name: string, what: string, advice: string): Finding {
  return { name, state: 'warn', what, advice };
}

export function fail(name: string, what: string, advice: string): Finding {
  return { name, state: 'fail', what, advice };
}
