import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { type Repository, repositoryText } from '../../../agent/oci/reference.ts';
import type { DiskStore } from '../../../agent/store/index.ts';
import { Mender } from '../../../agent/upkeep/mend.ts';
import type { Content } from '../../../agent/upkeep/ports.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { content, digestOfBytes, hold, never } from '../store/compliance.ts';
import { flip, type Place, place, quiet } from '../store/support.ts';

const LAYER = content('layer', 1000);
const LAYER_DIGEST = digestOfBytes(LAYER);
const MANIFEST = Buffer.from(JSON.stringify({ layers: [{ digest: LAYER_DIGEST, size: 1000 }] }));
const MANIFEST_DIGEST = digestOfBytes(MANIFEST);

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

/** A store with an image, and a mender that gets it from `repositories`. */
async function bench(...repositories: string[]) {
  const store = await at.open({ recheck: 1e12 });
  await hold(store, LAYER);
  await store.put(MANIFEST_DIGEST, MANIFEST, 'a/manifest');
  const asked: string[] = [];
  const ask = (repository: Repository, digest: string) => {
    asked.push(`${repositoryText(repository)} ${digest}`);
    if (!repositories.includes(repositoryText(repository))) throw new AgentError('NAME_UNKNOWN', 'no such repository');
  };
  const upstream: Content = {
    async getManifest({ repository, reference }) {
      ask(repository, reference);
      await store.put(MANIFEST_DIGEST, MANIFEST, 'a/manifest');
      return { digest: MANIFEST_DIGEST, mediaType: 'a/manifest', bytes: MANIFEST };
    },
    async openBlob({ repository, digest }) {
      ask(repository, digest);
      return {
        size: 1000,
        async *read() {
          await hold(store, LAYER);
          yield LAYER;
        },
        close: () => {},
      };
    },
  };
  const admit = ({ name }: Repository) => {
    if (name === 'denied') throw new AgentError('REPOSITORY_NOT_ALLOWED', 'not this one');
  };
  const mender = new Mender({ store, content: upstream, admit, logger: quiet });
  return { store, mender, asked };
}

/** Lets a blob rot, and has it found. */
async function rot(store: DiskStore, digest: Digest): Promise<void> {
  await flip(at.path, digest, 1);
  assert.equal(await store.inspection.check(digest, () => undefined, never), 'rotten');
}

test('a pinned blob, and a pinned manifest, are fetched again from the repository of the pin', async () => {
  const { store, mender, asked } = await bench('ghcr.io/app');
  store.pin(`ghcr.io/app@${MANIFEST_DIGEST}`, [MANIFEST_DIGEST, LAYER_DIGEST]);
  for (const digest of [LAYER_DIGEST, MANIFEST_DIGEST]) {
    await rot(store, digest);
    assert.deepEqual(await mender.outcome(digest), { isMended: true });
    assert.ok(store.inspection.blob(digest));
  }
  assert.deepEqual(asked, [`ghcr.io/app ${LAYER_DIGEST}`, `ghcr.io/app ${MANIFEST_DIGEST}`]);
  await mender.stop();
});

test('whoever finds the rot: a peer that reads has it mended too', async () => {
  const { store, mender } = await bench('ghcr.io/app');
  store.pin(`ghcr.io/app:v1@${MANIFEST_DIGEST}`, [MANIFEST_DIGEST, LAYER_DIGEST]);
  await flip(at.path, LAYER_DIGEST, 1);
  assert.equal(await store.chunk(LAYER_DIGEST, 0, never), undefined);
  assert.deepEqual(await mender.outcome(LAYER_DIGEST), { isMended: true });
  await mender.stop();
});

test('a pin by digest alone is mended from where a tag leads to it, and from the next where one has it no more', async () => {
  const { store, mender, asked } = await bench('ghcr.io/there');
  store.pin(MANIFEST_DIGEST, [MANIFEST_DIGEST, LAYER_DIGEST]);
  const record = { accept: '*/*', mediaType: 'a/manifest', size: 1, etag: null, checkedAt: 1 };
  for (const repository of ['denied', 'gone', 'there']) {
    store.tags.put({ registry: 'ghcr.io', repository, tag: 'v1' }, { ...record, digest: MANIFEST_DIGEST });
  }
  await rot(store, LAYER_DIGEST);
  assert.deepEqual(await mender.outcome(LAYER_DIGEST), { isMended: true });
  assert.deepEqual(asked, [`ghcr.io/gone ${LAYER_DIGEST}`, `ghcr.io/there ${LAYER_DIGEST}`]);
  await mender.stop();
});

test('what is not pinned, has no name, or is not to be had is told so', async () => {
  const { store, mender, asked } = await bench();
  await rot(store, LAYER_DIGEST);
  assert.deepEqual(await mender.outcome(LAYER_DIGEST), { isMended: false, why: 'it is not pinned' });
  await hold(store, LAYER);
  store.pin(MANIFEST_DIGEST, [LAYER_DIGEST]);
  await rot(store, LAYER_DIGEST);
  assert.deepEqual(await mender.outcome(LAYER_DIGEST), {
    isMended: false,
    why: 'no tag and no pin tells which repository it is of',
  });
  assert.deepEqual(asked, []);
  await hold(store, LAYER);
  store.pin(`ghcr.io/app@${MANIFEST_DIGEST}`, [LAYER_DIGEST]);
  await rot(store, LAYER_DIGEST);
  assert.deepEqual(await mender.outcome(LAYER_DIGEST), { isMended: false, why: 'no such repository' });
  await mender.stop();
  await hold(store, LAYER);
  await rot(store, LAYER_DIGEST);
  assert.equal(asked.length, 1, 'one that was stopped asks nobody');
});
