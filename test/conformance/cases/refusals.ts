import assert from 'node:assert/strict';
import { assertError, assertNoChallenge, type Case, forEachAlgorithm, get, send } from '../case.ts';
import { DENIED_REPOSITORY, newBlob, newManifest, newRepository, unknownDigest } from '../target.ts';

const TAKES_PUSHES = { because: 'it is a registry, and takes pushes', seen: /202 !== 405/ };

/** What a mirror does not do. */
export const refusalCases: Case[] = [
  {
    title: 'a push is 405 UNSUPPORTED, and names what is allowed',
    section: 'Pushing Blobs (end-4, end-5), Pushing Manifests (end-7); RFC 9110, 15.5.6',
    differs: TAKES_PUSHES,
    async run(target) {
      const repository = newRepository();
      for (const [method, path] of [
        ['POST', 'blobs/uploads/'],
        ['PATCH', 'blobs/uploads/1'],
        ['PUT', `blobs/uploads/1?digest=${unknownDigest('sha256')}`],
        ['PUT', 'manifests/v1'],
      ] as const) {
        const answer = await send(target, { method, path: `/v2/${repository}/${path}`, body: '{}' });
        assertError(answer, 405, 'UNSUPPORTED');
        assert.ok(answer.header('allow'), 'Allow');
      }
    },
  },
  {
    title: 'what method it may be, even one that is nobody’s, the answer is a registry’s',
    section: 'Determining Support (end-1), Error Codes; the legacy Docker-Distribution-API-Version',
    client: 'dockerd tells a registry by that header',
    differs: { because: 'it takes OPTIONS, as a web server does', seen: /200 !== 405/ },
    async run(target) {
      for (const method of ['OPTIONS', 'TRACE', 'PROPFIND', 'PURGE', 'LINK', 'M-SEARCH']) {
        const answer = await send(target, { method, path: `/v2/${newRepository()}/manifests/v1` });
        assertError(answer, 405, 'UNSUPPORTED');
        assert.equal(answer.header('docker-distribution-api-version'), 'registry/2.0');
      }
    },
  },
  {
    title: 'a name that is not the mirror’s, or a web page: 403 DENIED, as a registry says it',
    section: 'RFC 9112, 3.2; Error Codes (DENIED)',
    differs: { because: 'it answers under every name', seen: /404 !== 403/ },
    async run(target) {
      for (const headers of [['Host: rebound.example'], ['Origin: http://rebound.example']]) {
        const path = `/v2/${newRepository()}/manifests/v1`;
        const answer = await send(target, { path, headers });
        assertError(answer, 403, 'DENIED');
        assert.equal(answer.header('docker-distribution-api-version'), 'registry/2.0');
        assertNoChallenge(answer);
      }
    },
  },
  {
    title: 'a repository that may not be pulled is 403 DENIED, and nobody is asked who they are',
    section: 'Error Codes (DENIED)',
    client: 'dockerd would answer a challenge with its password of Docker Hub',
    differs: { because: 'it is told to deny nothing', seen: /404 !== 403/ },
    async run(target) {
      const digest = unknownDigest('sha256');
      for (const rest of ['manifests/v1', `manifests/${digest}`, `blobs/${digest}`, 'tags/list']) {
        const answer = await get(target, `/v2/${DENIED_REPOSITORY}/${rest}`);
        assertError(answer, 403, 'DENIED');
        assertNoChallenge(answer);
      }
    },
  },
  ...forEachAlgorithm((algorithm) => ({
    title: 'a delete is 405 UNSUPPORTED, and deletes nothing',
    section: 'Content Management (end-9, end-10)',
    async run(target) {
      const { repository, path, bytes } = await newBlob(target, algorithm, 1000);
      const manifest = await newManifest(target, 'sha256', { repository });
      for (const each of [path, `/v2/${repository}/manifests/${manifest.digest}`]) {
        assertError(await send(target, { method: 'DELETE', path: each }), 405, 'UNSUPPORTED');
      }
      assert.ok((await get(target, path)).body.equals(bytes));
    },
  })),
  {
    title: 'what is no endpoint is 404',
    section: 'Endpoints',
    async run(target) {
      for (const path of ['/v2/library/app/other/v1', '/v1/', '/v2/library/app/tags/other']) {
        assert.equal((await get(target, path)).status, 404, path);
      }
    },
  },
];
