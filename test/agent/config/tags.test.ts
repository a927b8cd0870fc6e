import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/config/load.ts';
import { tagSettings } from '../../../agent/config/registries.ts';
import { isAgentError } from '../../../agent/errors.ts';

const PEER = '12D3KooWA2HyWRJ8CRoAsYnmVDjSbZRUBgyxVFmyTvKjgJUdJ2VK';
const NOBODY = { fromPeers: 'never', trust: [] };
const user = { isRoot: false, home: '/home/user', cwd: '/', env: {} };
const hub = (tags: string) =>
  loadConfig({ set: [`registries={docker.io: {tags: ${tags}}}`] }, user).registries.get('docker.io');

test('one time for all tags, or one for each pattern', () => {
  assert.deepEqual(hub('{fresh: 0s}')?.tags, { fresh: [{ pattern: '*', time: 0 }], immutable: [], ...NOBODY });
  assert.deepEqual(
    hub('{fresh: {"*-nightly": 0s, "*": 5m, 7: 365d}}')?.tags.fresh.toSorted((a, b) => a.time - b.time),
    [
      { pattern: '*-nightly', time: 0 },
      { pattern: '*', time: 300_000 },
      { pattern: '7', time: 365 * 86_400_000 },
    ],
  );
  assert.deepEqual(hub('{immutable: ["v*", "1.2.3"]}')?.tags, {
    fresh: [{ pattern: '*', time: 60_000 }],
    immutable: ['v*', '1.2.3'],
    ...NOBODY,
  });
});

test('a registry is where it was, whatever is said of its tags', () => {
  assert.deepEqual(hub('{fresh: 1s}')?.endpoints, ['https://registry-1.docker.io']);
  const { registries } = loadConfig({ set: ['registries={"GHCR.io:5000": {tags: {fresh: 1s}}, quay.io: }'] }, user);
  assert.deepEqual(registries.get('ghcr.io:5000')?.endpoints, ['https://ghcr.io:5000']);
  assert.deepEqual(registries.get('quay.io'), { ...registries.get('*'), endpoints: ['https://quay.io'] });
});

test('what is not listed, or says nothing, has the defaults', () => {
  const defaults = { fresh: [{ pattern: '*', time: 60_000 }], immutable: [], ...NOBODY };
  const open = loadConfig({}, user).registries;
  assert.deepEqual(tagSettings(open, 'docker.io'), defaults);
  assert.deepEqual(tagSettings(open, 'quay.io'), defaults);
  assert.deepEqual(tagSettings(new Map(), 'quay.io'), defaults);
  const { registries } = loadConfig({ set: ['registries={"*": {tags: {fresh: 1s}}}'] }, user);
  assert.deepEqual(tagSettings(registries, 'quay.io').fresh, [{ pattern: '*', time: 1000 }]);
});

test('what is wrong is told with its key', () => {
  const wrong: [tags: string, message: RegExp][] = [
    ['{fresh: 60}', /registries\["docker\.io"\]\.tags\.fresh must be a duration with its unit/],
    ['{fresh: [60s]}', /tags\.fresh must be a duration/],
    ['{fresh: {"*": 60}}', /tags\.fresh\["\*"\] must be a duration/],
    ['{fresh: {"v 1": 60s}}', /tags\.fresh\["v 1"\] must be a pattern of tags such as/],
    ['{fresh: 4000d}', /tags\.fresh must be at most 3650d/],
    ['{immutable: v1}', /tags\.immutable must be a list of patterns/],
    ['{immutable: [1]}', /tags\.immutable\[0\] must be a pattern/],
    ['{immutable: ["a/b"]}', /tags\.immutable\[0\] must be a pattern of tags such as/],
    ['{imutable: []}', /tags\.imutable is not a key .* did you mean registries\["docker\.io"\]\.tags\.immutable\?/],
    ['{fromPeer: always}', /tags\.fromPeer is not a key .* did you mean .*tags\.fromPeers\?/],
    ['{fromPeers: sometimes}', /tags\.fromPeers must be never, when-offline or always\.$/],
    ['{fromPeers: true}', /tags\.fromPeers must be never, when-offline or always\.$/],
    [`{trust: ${PEER}}`, /tags\.trust must be a list of peer ids\.$/],
    ['{trust: [12]}', /tags\.trust\[0\] must be a peer id, 12D3KooW…, as `layerlan status` shows it\.$/],
    [`{trust: [${PEER}, ${PEER.slice(1)}]}`, /tags\.trust\[1\] must be a peer id/],
    [`{trust: [" ${PEER}"]}`, /tags\.trust\[0\] must be a peer id/],
    ['{trust: [QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N]}', /tags\.trust\[0\] must be a peer id/],
    [
      '{fromPeers: always}',
      /tags\.fromPeers is always, but nobody is believed: set peers\.networkKeyFile, or name peers/,
    ],
    ['{fromPeers: when-offline, trust: []}', /tags\.fromPeers is when-offline, but nobody is believed/],
    ['5', /tags must be a map of keys/],
  ];
  for (const [tags, message] of wrong) {
    assert.throws(
      () => hub(tags),
      (error) => isAgentError(error, 'CONFIG_INVALID') && message.test(error.message),
      tags,
    );
  }
});

test('peers are believed where a network key or a name says whom', () => {
  for (const fromPeers of ['when-offline', 'always']) {
    const { tags } = hub(`{fromPeers: ${fromPeers}, trust: [${PEER}]}`) ?? {};
    assert.deepEqual([tags?.fromPeers, tags?.trust], [fromPeers, [PEER]]);
    const keyed = ['peers.networkKeyFile=/key', `registries={"*": {tags: {fromPeers: ${fromPeers}}}}`];
    assert.equal(loadConfig({ set: keyed }, user).registries.get('*')?.tags.fromPeers, fromPeers);
  }
  assert.deepEqual(hub(`{trust: [${PEER}]}`)?.tags.trust, [PEER]);
  assert.throws(() => loadConfig({ set: ['registries={"*": {tags: {fromPeers: always}}}'] }, user), {
    code: 'CONFIG_INVALID',
    message: /registries\["\*"\]\.tags\.fromPeers is always/,
  });
});
