import assert from 'node:assert/strict';
import { assertError, assertNoChallenge, type Case, forEachAlgorithm, get, head } from '../case.ts';
import { newBlob, newManifest } from '../target.ts';

const ALONE = { because: 'it is no proxy', seen: /^there is nothing behind it$/ };
const MIB = 1024 * 1024;

/** What a mirror makes of what is behind it. */
export const behindCases: Case[] = [
  ...[401, 403].map(
    (status): Case => ({
      title: `the registry’s ${status} is 403 DENIED, and no challenge`,
      section: 'Error Codes (DENIED, UNAUTHORIZED)',
      client: 'dockerd would answer a challenge with its password of Docker Hub',
      differs: ALONE,
      async run(target) {
        const { repository, digest, config } = await newManifest(target, 'sha256', { tag: 'v1' });
        const challenge = { 'www-authenticate': 'Basic realm="a registry"' };
        const path = `/v2/${repository}/`;
        const behave = target.misbehave({ kind: 'status', status, headers: challenge, on: 'any', path });
        for (const rest of ['manifests/v1', `manifests/${digest}`, `blobs/${config.digest}`, 'tags/list']) {
          const answer = await get(target, path + rest);
          assertError(answer, 403, 'DENIED');
          assertNoChallenge(answer);
          assertNoChallenge(await head(target, path + rest));
        }
        behave();
        assert.equal((await get(target, `${path}manifests/v1`)).status, 200, 'forgotten at once');
      },
    }),
  ),
  {
    title: 'the registry’s 429 is 503 TOOMANYREQUESTS',
    section: 'Error Codes (TOOMANYREQUESTS)',
    client: 'containerd asks again after a 429, five times at once, and goes elsewhere after a 503',
    differs: ALONE,
    async run(target) {
      const { repository, digest, config } = await newManifest(target, 'sha256', { tag: 'v1' });
      const path = `/v2/${repository}/`;
      const headers = { 'retry-after': '3600' };
      const behave = target.misbehave({ kind: 'status', status: 429, headers, on: 'any', path });
      for (const rest of ['manifests/v1', `manifests/${digest}`, `blobs/${config.digest}`, 'tags/list']) {
        assertError(await get(target, path + rest), 503, 'TOOMANYREQUESTS');
      }
      behave();
      assert.equal((await get(target, `${path}manifests/v1`)).status, 200, 'forgotten at once');
    },
  },
  ...forEachAlgorithm((algorithm) => ({
    title: 'a body that cannot be had to its end ends short, by FIN',
    section: 'RFC 9112, 6.3 and 8',
    client: 'all take a short body up at the byte; containerd does not where the connection was reset',
    differs: ALONE,
    async run(target) {
      const { path, digest, bytes } = await newBlob(target, algorithm, 3 * MIB);
      // Bytes that no client may take for the blob: the last of them is never given.
      const behave = target.misbehave({ kind: 'corrupt', path: digest });
      await assert.rejects(get(target, path), /^Error: the body ended \d+ of 3145728 bytes early$/);
      behave();
      assert.ok((await get(target, path)).body.equals(bytes), 'and is whole once it can be had');
    },
  })),
];
