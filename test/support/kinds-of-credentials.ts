import type { Home } from '../agent/upstream/credentials/fixture.ts';
import { basicDoor, type Door, ghcrDoor, hubDoor, identityDoor } from './upstream-doors.ts';
import type { UpstreamRegistry } from './upstream-registry.ts';

/** One way for credentials to be had, and a registry that asks for them. */
interface KindOfCredentials {
  readonly name: string;
  door(secret: string): Door;
  /** Lays the secret down. @returns the configuration */
  lay(home: Home, registry: UpstreamRegistry, secret: string): Promise<unknown>;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Every kind of credential that an agent may be given. */
export const KINDS_OF_CREDENTIALS: readonly KindOfCredentials[] = [
  {
    name: 'a password in Docker’s configuration',
    door: (password) => hubDoor({ username: 'me', password }),
    async lay(home, { host }, secret) {
      await home.file('.docker/config.json', { auths: { [host]: { auth: base64(`me:${secret}`) } } });
      return 'docker-config';
    },
  },
  {
    name: 'an identity token',
    door: identityDoor,
    async lay(home, { host }, identitytoken) {
      await home.file('.docker/config.json', { auths: { [host]: { identitytoken } } });
      return 'docker-config';
    },
  },
  {
    name: 'a helper of one registry',
    door: (password) => hubDoor({ username: 'me', password }),
    async lay(home, { host }, secret) {
      await home.file('.docker/config.json', { credHelpers: { [host]: 'canary' } });
      await home.file('answer', { Username: 'me', Secret: secret });
      await home.helper('canary', `cat "${home.path}/answer"`);
      return 'docker-config';
    },
  },
  {
    name: 'a helper of one registry, with an identity token',
    door: identityDoor,
    async lay(home, { host }, secret) {
      await home.file('.docker/config.json', { credHelpers: { [host]: 'canary' } });
      await home.file('answer', { Username: '<token>', Secret: secret });
      await home.helper('canary', `cat "${home.path}/answer"`);
      return 'docker-config';
    },
  },
  {
    name: 'a helper for all',
    door: (secret) => ghcrDoor({ username: 'me', password: `ghp_${secret}` }),
    async lay(home, _, secret) {
      await home.file('.docker/config.json', { credsStore: 'canary' });
      await home.file('answer', { Username: 'me', Secret: `ghp_${secret}` });
      await home.helper('canary', `cat "${home.path}/answer"; cat "${home.path}/answer" >&2`);
      return 'docker-config';
    },
  },
  {
    name: 'podman’s file',
    door: (password) => basicDoor({ username: 'me', password }),
    async lay(home, { host }, secret) {
      await home.file('run/containers/auth.json', { auths: { [host]: { auth: base64(`me:${secret}`) } } });
      return 'podman-auth';
    },
  },
  {
    name: 'a helper in podman’s file',
    door: (password) => hubDoor({ username: 'me', password }),
    async lay(home, { host }, secret) {
      await home.file('run/containers/auth.json', { credHelpers: { [host]: 'canary' } });
      await home.file('answer', { Username: 'me', Secret: secret });
      await home.helper('canary', `cat "${home.path}/answer"; cat "${home.path}/answer" >&2`);
      return 'podman-auth';
    },
  },
  {
    name: 'a file of its own',
    door: (password) => hubDoor({ username: 'me', password }),
    lay: async (home, _, secret) => ({ username: 'me', passwordFile: await home.file('password', secret) }),
  },
  {
    name: 'the environment',
    door: (password) => basicDoor({ username: 'me', password }),
    async lay(_, __, secret) {
      process.env.LAYERLAN_TEST_CANARY = secret;
      return { username: 'me', passwordEnv: 'LAYERLAN_TEST_CANARY' };
    },
  },
];
