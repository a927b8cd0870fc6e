/** What part of the registry a request is for: `storage` is where redirected blobs lie, `ping` is all that is else. */
export type RequestKind = 'ping' | 'token' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'storage';

/** One way to misbehave. */
export type Misbehaviour =
  /** Answers with this status and no content. */
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Ignores Range. */
  | { readonly kind: 'no-range' }
  /** Sends `after` body bytes and closes the connection. */
  | { readonly kind: 'break'; readonly after: number }
  /** Sends `after` body bytes and then nothing, with the connection open. */
  | { readonly kind: 'stall'; readonly after: number }
  /** Takes the request and never answers. */
  | { readonly kind: 'black-hole' }
  /** Answers only after so long. Milliseconds. */
  | { readonly kind: 'delay'; readonly milliseconds: number }
  /** Flips a bit of the byte at the offset in the blob; without `at`, of the first byte of every MiB. */
  | { readonly kind: 'corrupt'; readonly at?: number }
  /** Tells (and sends) so many bytes more, or fewer, than there are. */
  | { readonly kind: 'length'; readonly delta: number }
  /** Sends no faster than this. */
  | { readonly kind: 'rate'; readonly bytesPerSecond: number }
  /** Sends blob requests to the storage server by a signed URL. */
  | { readonly kind: 'redirect' };

/** When to do it. All that is given must hold. */
export interface Occasion {
  /** `any`: every request. @default blobs, at the registry and at its storage */
  readonly on?: RequestKind | 'any';
  readonly method?: 'GET' | 'HEAD';
  /** Matched against the path with its query. */
  readonly path?: RegExp | string;
  /** Only each k-th request that fits, counted from the first. @default 1 */
  readonly every?: number;
  /** Ends after so many. @default Infinity */
  readonly times?: number;
}

export type Fault = Misbehaviour & Occasion;

export interface FaultyRequest {
  readonly kind: RequestKind;
  readonly method: string;
  readonly path: string;
}

/** The faults that are switched on. */
export interface Faults {
  /** Switches one on. What is returned switches it off again. */
  add(fault: Fault): () => void;
  clear(): void;
  /** The faults that a request meets; counts them as used. */
  meet(request: FaultyRequest): Misbehaviour[];
}

export function createFaults(): Faults {
  const active = new Set<{ readonly fault: Fault; seen: number; used: number }>();
  return {
    add(fault) {
      const entry = { fault, seen: 0, used: 0 };
      active.add(entry);
      return () => void active.delete(entry);
    },
    clear: () => active.clear(),
    meet(request) {
      const met: Misbehaviour[] = [];
      for (const entry of active) {
        const { fault } = entry;
        if (!fits(fault, request) || entry.used >= (fault.times ?? Number.POSITIVE_INFINITY)) continue;
        if (entry.seen++ % (fault.every ?? 1) !== 0) continue;
        entry.used++;
        met.push(fault);
      }
      return met;
    },
  };
}

function fits(fault: Fault, request: FaultyRequest): boolean {
  const wanted = fault.on === undefined ? request.kind === 'blob' || request.kind === 'storage' : isOn(fault, request);
  if (!wanted || (fault.method !== undefined && fault.method !== request.method)) return false;
  if (fault.path === undefined) return true;
  return typeof fault.path === 'string' ? request.path.includes(fault.path) : fault.path.test(request.path);
}

function isOn(fault: Fault, request: FaultyRequest): boolean {
  return fault.on === 'any' || fault.on === request.kind;
}

/** The first of one kind among the faults met. */
export function metFault<Kind extends Misbehaviour['kind']>(
  met: readonly Misbehaviour[],
  kind: Kind,
): Extract<Misbehaviour, { kind: Kind }> | undefined {
  return met.find((one): one is Extract<Misbehaviour, { kind: Kind }> => one.kind === kind);
}
