/**
 * The one table of everything that can go wrong and be told to somebody.
 *
 * - `status` and `oci`: what the registry face answers with, for errors that can reach a client.
 * - `exit`: the process's exit code, for errors that end a command (2: what was given is wrong; 1: the machine refused).
 * - `means`: what happened and, where somebody can do something, what to do.
 */
export const ERRORS = {
  CONFIG_UNREADABLE: { exit: 1, means: 'The configuration file cannot be read.' },
  CONFIG_INVALID: { exit: 2, means: 'A configuration key or value is wrong.' },
  ADDRESS_IN_USE: { exit: 1, means: 'Another process listens on an address the agent was told to use.' },
  ADDRESS_UNUSABLE: { exit: 1, means: 'An address to listen on does not exist here or needs more rights.' },
  STORE_UNWRITABLE: { exit: 1, means: 'The store’s directory cannot be created or written.' },
  STORE_IN_USE: { exit: 1, means: 'Another agent uses this store; two agents need two store.path.' },
  NETWORK_KEY_INVALID: {
    exit: 2,
    means: 'The network key file is missing, too short or not a key; make one with `layerlan key FILE`.',
  },
  CA_INVALID: {
    exit: 2,
    means: 'A file named in registries.<name>.ca is missing or holds no certificates in PEM.',
  },
  KEY_UNWRITABLE: {
    exit: 1,
    means: 'The network key cannot be written there; a file that exists is never overwritten.',
  },
  SETUP_REFUSED: {
    exit: 1,
    means:
      'A client’s configuration holds what setup cannot add to without losing something, or there is nothing to undo.',
  },
  SETUP_UNWRITABLE: {
    exit: 1,
    means: 'A client’s configuration cannot be read or written; the system’s files need root.',
  },
  AGENT_NOT_RUNNING: { exit: 1, means: 'No agent answers where the configuration says it listens.' },

  IMAGE_INVALID: {
    exit: 2,
    status: 400,
    oci: 'NAME_INVALID',
    means: 'Not an image reference with a tag, such as alpine, owner/app:v1 or registry.lan:5000/app:v1.',
  },
  PLATFORM_INVALID: {
    exit: 2,
    status: 400,
    oci: 'UNSUPPORTED',
    means: 'Not a platform such as linux/amd64 or linux/arm/v7, and not `all`.',
  },
  PLATFORM_UNKNOWN: {
    exit: 1,
    status: 404,
    oci: 'MANIFEST_UNKNOWN',
    means: 'The image has nothing for this platform.',
  },
  NOT_STORED: {
    exit: 1,
    status: 507,
    oci: 'UNKNOWN',
    means: 'The store did not take it in: it has no room, its disk fails, or store.keep or store.skip leaves it out.',
  },
  LAYOUT_INVALID: {
    exit: 1,
    means: 'A directory is no OCI image layout, or cannot be read or written.',
  },
  IMPORT_REFUSED: {
    exit: 1,
    status: 400,
    oci: 'DIGEST_INVALID',
    means: 'Something of a layout is missing, or is not what its digest says; it was not taken in.',
  },
  NOT_OWNER: {
    exit: 1,
    status: 403,
    oci: 'DENIED',
    means: 'Only root and the agent’s own user may import: what is imported decides what runs here.',
  },
  IMAGE_UNKNOWN: {
    exit: 1,
    status: 404,
    oci: 'MANIFEST_UNKNOWN',
    means: 'The agent holds nothing of this image, or it is not pinned.',
  },
  IMAGE_PINNED: {
    exit: 1,
    status: 409,
    oci: 'DENIED',
    means: 'A pinned image is not removed; unpin it first.',
  },
  NAME_INVALID: {
    status: 400,
    oci: 'NAME_INVALID',
    means: 'The repository or registry name breaks the grammar of the OCI distribution spec.',
  },
  TAG_INVALID: {
    // The spec knows no other failure of a pull by tag (end-3), and clients take 404 for "not there".
    status: 404,
    oci: 'MANIFEST_UNKNOWN',
    means: 'The tag breaks the grammar of the OCI distribution spec.',
  },
  DIGEST_INVALID: { status: 400, oci: 'DIGEST_INVALID', means: 'Not a sha256 or sha512 digest in lower-case hex.' },
  RANGE_UNSATISFIABLE: { status: 416, oci: 'BLOB_UNKNOWN', means: 'No byte of the requested range lies in the blob.' },
  UNSUPPORTED: { status: 405, oci: 'UNSUPPORTED', means: 'A pull-through mirror does not push or delete.' },
  ROUTE_UNKNOWN: { status: 404, oci: 'UNSUPPORTED', means: 'No such endpoint in the OCI distribution API.' },
  REQUEST_DENIED: {
    status: 403,
    oci: 'DENIED',
    means:
      'The request comes from a web page or names a host that is not this agent; only registry clients are served.',
  },
  REGISTRY_NOT_LISTED: {
    status: 403,
    oci: 'DENIED',
    means: 'The agent serves the registries of its configuration only; list this one, or unset registries.only.',
  },
  REPOSITORY_NOT_ALLOWED: {
    status: 403,
    oci: 'DENIED',
    means: 'The agent’s configuration keeps this repository from being pulled: registries.<name>.allow or deny.',
  },
  REQUEST_INVALID: { status: 400, oci: 'UNSUPPORTED', means: 'The request is malformed.' },
  REQUEST_LATE: { status: 408, oci: 'UNSUPPORTED', means: 'The client took too long to send its request.' },
  HEADERS_TOO_LARGE: { status: 431, oci: 'UNSUPPORTED', means: 'The request line and headers are too long.' },

  MANIFEST_UNKNOWN: {
    status: 404,
    oci: 'MANIFEST_UNKNOWN',
    means: 'The upstream registry does not have this manifest.',
  },
  NAME_UNKNOWN: {
    status: 404,
    oci: 'NAME_UNKNOWN',
    means: 'The upstream registry does not have this repository.',
  },
  BLOB_UNKNOWN: { status: 404, oci: 'BLOB_UNKNOWN', means: 'The upstream registry does not have this blob.' },
  UPSTREAM_DENIED: {
    status: 403,
    oci: 'DENIED',
    means:
      'The upstream registry refuses this repository: to anonymous clients, or to the credentials configured for it.',
  },
  ADDRESS_PRIVATE: {
    status: 403,
    oci: 'DENIED',
    means: 'The registry, or what it leads to, is at a private or loopback address and not in the configuration.',
  },
  CREDENTIALS_UNUSABLE: {
    means: 'The credentials that a registry is to be asked with cannot be read; it is asked without them.',
  },
  UPSTREAM_RATE_LIMITED: {
    status: 503,
    oci: 'TOOMANYREQUESTS',
    means: 'The upstream registry limits our rate; try again later.',
  },
  UPSTREAM_UNREACHABLE: {
    status: 502,
    oci: 'UNKNOWN',
    means: 'The upstream registry cannot be reached and nobody on the LAN has the content.',
  },
  UPSTREAM_STALLED: { status: 504, oci: 'UNKNOWN', means: 'The upstream registry stopped sending.' },
  UPSTREAM_FAILED: {
    status: 502,
    oci: 'UNKNOWN',
    means: 'The upstream registry answered with an error or with something that is not the registry protocol.',
  },
  UPSTREAM_MISMATCH: {
    status: 502,
    oci: 'UNKNOWN',
    means: 'The upstream registry sent bytes that do not match the digest asked for.',
  },
  CONTENT_UNAVAILABLE: { status: 502, oci: 'UNKNOWN', means: 'The content could not be completed from any source.' },
  DRAINING: { status: 503, oci: 'UNKNOWN', means: 'The agent is shutting down.' },

  STORE_FULL: { means: 'Something has no room in the store: store.maxSize or store.minFree allows none.' },
  STORE_FAILING: { means: 'The store’s disk fails; nothing is stored until it works again.' },
  DIGEST_MISMATCH: { means: 'Stored or received bytes do not match their digest.' },
  BLOB_ROTTEN: { means: 'A held blob no longer matches its digest; it was dropped.' },
  PEER_UNREACHABLE: { means: 'A peer cannot be reached or broke the connection.' },
  PEER_STALLED: { means: 'A peer sent no byte for peers.stallTimeout.' },
  PEER_MISSING: { means: 'A peer does not have what it advertised.' },
  PEER_BUSY: { means: 'A peer serves as many as it can; ask elsewhere.' },
  PEER_PROTOCOL: { means: 'A peer sent something that breaks the wire protocol.' },
} as const satisfies Record<string, ErrorEntry>;

interface ErrorEntry {
  readonly means: string;
  readonly status?: number;
  readonly oci?: string;
  readonly exit?: number;
}

/** A key of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * Every error the agent throws on purpose. Told apart by `code`, never by its text.
 *
 * `message` is one line that says what is wrong with which thing; it must never hold a secret.
 */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Whether `error` is an {@link AgentError} with one of `codes` (with any code, where none is given). */
export function isAgentError(error: unknown, ...codes: ErrorCode[]): error is AgentError {
  return error instanceof AgentError && (codes.length === 0 || codes.includes(error.code));
}

/** An error in one line of a log: a stack only where the error was not thrown on purpose. */
export function briefly(error: unknown): { code?: string; reason?: string; err?: unknown } {
  return error instanceof AgentError ? { code: error.code, reason: error.message } : { err: error };
}
