import { readSecretFile } from './secret-file.ts';
import {
  type Credential,
  type CredentialSource,
  type CredentialSurroundings,
  credentialOf,
  unusable,
} from './source.ts';

/** A user of the configuration, with a password that lies in a file: Docker's and Kubernetes' secrets are such files. */
export function passwordFromFile(username: string, path: string): CredentialSource {
  return {
    async find() {
      const text = await readSecretFile(path, 'passwordFile');
      if (text === undefined) throw unusable(`passwordFile ${path} does not exist`);
      return credential(username, text, `passwordFile ${path} is empty`);
    },
  };
}

/** A user of the configuration, with a password in the agent's environment. */
export function passwordFromEnv(username: string, name: string, { env }: CredentialSurroundings): CredentialSource {
  return {
    async find() {
      return credential(username, env[name] ?? '', `passwordEnv ${name} is not set, or empty`);
    },
  };
}

/** One newline at the end is the editor's. */
function credential(username: string, text: string, problem: string): Credential {
  const password = text.replace(/\r?\n$/, '');
  if (password === '') throw unusable(problem);
  return credentialOf({ kind: 'password', username, password });
}
