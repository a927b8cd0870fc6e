import assert from 'node:assert/strict';
import { assertError, type Case, forEachAlgorithm, get, send } from '../case.ts';
import { newBlob, newManifest, newRepository, unknownDigest } from '../target.ts';

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
