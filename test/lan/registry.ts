import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt } from './commands.ts';
import type { Space } from './network.ts';
import { REGISTRY_DIR } from './place.ts';
import { startProcess } from './process.ts';
import { until } from './until.ts';

/** Where the upstream registry listens in its namespace. */
export const REGISTRY_PORT = 5000;

/** Where one that is locked does, beside it. */
const LOCKED_PORT = 5443;

/** Debian's docker-registry. */
export interface UpstreamRegistry {
  /** As an endpoint of the agent's configuration. */
  readonly url: string;
  /** What was asked for since the start: "METHOD path status", in the order of completion. */
  requests(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface UpstreamRegistryInit {
  readonly space: Space;
  /** A directory for its configuration and logs. */
  readonly dir: string;
  /** Whether images may be pushed. @default false */
  readonly isWritable?: boolean;
  /** Over TLS and for one user alone. @default plain HTTP, for everybody */
  readonly locked?: RegistryLock;
}

export interface RegistryLock {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
  /** A line of an htpasswd file, with bcrypt. */
  readonly htpasswd: string;
}

/** Starts the registry on what test/lan/prepare.ts has pushed. @throws Error where it does not answer */
export async function startRegistry(init: UpstreamRegistryInit): Promise<UpstreamRegistry> {
  const { space, dir, locked } = init;
  await mkdir(dir, { recursive: true });
  const [port, scheme] = locked === undefined ? [REGISTRY_PORT, 'http'] : [LOCKED_PORT, 'https'];
  const configuration = join(dir, 'registry.yml');
  // JSON is YAML.
  await writeFile(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn' },
      storage: {
        filesystem: { rootdirectory: REGISTRY_DIR },
        maintenance: { uploadpurging: { enabled: false }, readonly: { enabled: init.isWritable !== true } },
      },
      http: { addr: `:${port}`, ...(locked && { tls: await writeKeys(dir, locked) }) },
      ...(locked && { auth: { htpasswd: { realm: 'lan', path: join(dir, 'htpasswd') } } }),
    }),
  );
  const accessLog = join(dir, 'registry-access.log');
  const registry = await startProcess({
    argv: [...space.enter, '/usr/bin/docker-registry', 'serve', configuration],
    stdout: accessLog,
    stderr: join(dir, 'registry.log'),
  });
  // Any answer will do, 401 among them.
  const ping = [...space.enter, 'curl', '--silent', '--insecure', `${scheme}://127.0.0.1:${port}/v2/`];
  await until('the registry answers', async () => (await attempt(ping)).code === 0, { timeout: 30_000 });
  return {
    url: `${scheme}://${space.address}:${port}`,
    requests: async () => parseAccessLog(await readFile(accessLog, 'utf8')),
    stop: async () => {
      await registry.stop();
    },
  };
}

/** @returns as the registry's configuration wants it */
async function writeKeys(dir: string, { key, cert, htpasswd }: RegistryLock) {
  const files = { key: join(dir, 'key.pem'), certificate: join(dir, 'cert.pem') };
  await writeFile(files.key, key);
  await writeFile(files.certificate, cert);
  await writeFile(join(dir, 'htpasswd'), `${htpasswd}\n`);
  return files;
}

/** Lines of the combined log format: `host - user [time] "METHOD path HTTP/1.1" status bytes "referer" "agent"`. */
function parseAccessLog(text: string): string[] {
  return Array.from(
    text.matchAll(/^\S+ \S+ \S+ \[[^\]]*\] "(\S+) (\S+) [^"]*" (\d+) /gm),
    ([, method, path, status]) => `${method} ${path} ${status}`,
  );
}

/** Those of `requests` that moved a blob's body. */
export function blobGets(requests: readonly string[]): string[] {
  return requests.filter((request) => /^GET \/v2\/\S+\/blobs\//.test(request));
}

/** Those of `requests` that moved a manifest's body, which some registries count. */
export function manifestGets(requests: readonly string[]): string[] {
  return requests.filter((request) => /^GET \/v2\/\S+\/manifests\//.test(request));
}
