import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { CredentialSource, Secret } from '../../../../agent/upstream/credentials/source.ts';

/** A home of a test's own, with files and credential helpers. */
export interface Home {
  readonly path: string;
  readonly env: Record<string, string>;
  file(name: string, content: unknown): Promise<string>;
  /** A `docker-credential-<name>`: a script of the shell, which counts its runs. */
  helper(name: string, script: string): Promise<void>;
}

export async function homeOf(context: TestContext): Promise<Home> {
  const path = await mkdtemp(join(tmpdir(), 'layerlan-credentials-'));
  context.after(() => rm(path, { recursive: true, force: true }));
  const bin = join(path, 'bin');
  await mkdir(bin);
  return {
    path,
    env: { PATH: `${bin}:/usr/bin:/bin`, XDG_RUNTIME_DIR: join(path, 'run') },
    async file(name, content) {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
      return file;
    },
    async helper(name, script) {
      const file = join(bin, `docker-credential-${name}`);
      await writeFile(file, `#!/bin/sh\n${script}\n`);
      await chmod(file, 0o755);
    },
  };
}

export const never = new AbortController().signal;

/** `user:password` in base64, as `docker login` writes it. */
export function authOf(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}

/** The secret that a source has for a server. */
export async function secretOf(source: CredentialSource, server: string, repository = 'group/app'): Promise<Secret> {
  return (await source.find({ servers: [server], repository }, never)).secret;
}

export function user(username: string, password: string): Secret {
  return { kind: 'password', username, password };
}
