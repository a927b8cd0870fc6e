import assert from 'node:assert/strict';
import { assertNoChallenge, type Case, get } from '../case.ts';
import { newBlob, newManifest, OCI_MANIFEST } from '../target.ts';
import { Wire } from '../wire.ts';

const ACCEPT = `Accept: ${OCI_MANIFEST}`;

/** That there is a registry, and how it is talked to. */
export const baseCases: Case[] = [
  {
    title: 'GET /v2/ is 200, without a challenge',
    section: 'Determining Support (end-1)',
    client: 'dockerd and podman begin with it',
    async run(target) {
      const answer = await get(target, '/v2/');
      assert.equal(answer.status, 200);
      assertNoChallenge(answer);
    },
  },
  {
    title: 'one connection serves one request after the other',
    section: 'RFC 9112, 9.3',
    client: 'all',
    async run(target) {
      const { path, bytes, digest } = await newBlob(target, 'sha256', 1000);
      const wire = await Wire.open(target);
      try {
        assert.equal((await wire.ask({ path: '/v2/' })).status, 200);
        // A body behind a HEAD would be read as the next answer.
        assert.equal((await wire.ask({ method: 'HEAD', path })).header('content-length'), '1000');
        assert.ok((await wire.ask({ path })).body.equals(bytes));
        assert.equal((await wire.ask({ path: path.replace(digest, `sha256:${'0'.repeat(64)}`) })).status, 404);
        assert.ok((await wire.ask({ path, headers: ['Range: bytes=5-9'] })).body.equals(bytes.subarray(5, 10)));
      } finally {
        wire.close();
      }
    },
  },
  {
    title: 'ns names the registry, and is told back',
    section: 'Registry Proxying (after 1.1.1)',
    client: 'containerd, BuildKit, Docker’s containerd store',
    differs: { because: 'it is no proxy and knows no ns', seen: /\+ undefined\s+- 'docker\.io'/ },
    async run(target) {
      const { repository, digest } = await newManifest(target, 'sha256', { tag: 'v1' });
      const answer = await get(target, `/v2/${repository}/manifests/v1?ns=docker.io`, ACCEPT);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('docker-content-digest'), digest);
      assert.equal(answer.header('oci-namespace'), 'docker.io');
    },
  },
  {
    title: 'the registry as first component of the path',
    section: 'Registry Proxying (after 1.1.1)',
    client: 'podman, skopeo, buildah, CRI-O',
    differs: { because: 'it is no proxy: that is a repository of its own', seen: /404 !== 200/ },
    async run(target) {
      const { repository, digest } = await newManifest(target, 'sha256', { tag: 'v1' });
      const answer = await get(target, `/v2/docker.io/${repository}/manifests/v1`, ACCEPT);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('docker-content-digest'), digest);
    },
  },
];
