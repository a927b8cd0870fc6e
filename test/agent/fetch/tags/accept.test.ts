import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptText, isAccepted, isAnswerTo } from '../../../../agent/fetch/tags/accept.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI = 'application/vnd.oci.image.manifest.v1+json';
const LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKERD = [
  DOCKER,
  LIST,
  INDEX,
  OCI,
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/json',
];
const CONTAINERD = [DOCKER, LIST, OCI, INDEX, '*/*'];

const text = (...accept: string[]): string => acceptText(accept) ?? assert.fail('too long');

test('the same is the same, however it is written', () => {
  assert.equal(text(`${OCI} , ${DOCKER}`), text(DOCKER, OCI, DOCKER, ''));
  assert.equal(text(OCI.toUpperCase(), `${INDEX}; q=0.5`), text(`${INDEX};q=0.5`, OCI));
  assert.equal(text(), text('*/*'));
  assert.equal(text('*/*;q=0.8'), text(''));
  assert.notEqual(text(DOCKER), text(DOCKER, OCI));
  assert.equal(acceptText(['a/b'.padEnd(2100, 'b')]), undefined);
});

test('a record answers who asks the same, if it is what they accept', () => {
  for (const accept of [DOCKERD, CONTAINERD, [], [INDEX]]) {
    assert.ok(isAnswerTo({ accept: text(...accept), mediaType: INDEX }, text(...accept)));
  }
  assert.ok(!isAnswerTo({ accept: text(DOCKER), mediaType: INDEX }, text(DOCKER)), 'the registry did not care');
});

test('who does not accept what the record is must ask', () => {
  const record = { accept: text(...CONTAINERD), mediaType: INDEX };
  assert.ok(!isAnswerTo(record, text(DOCKER)));
  assert.ok(!isAnswerTo(record, text(DOCKER, LIST, OCI)));
});

test('who accepts less than was offered would be told the same, if it is what they accept', () => {
  const record = { accept: text(...CONTAINERD), mediaType: INDEX };
  assert.ok(isAnswerTo(record, text(...DOCKERD)));
  assert.ok(isAnswerTo(record, text(INDEX)));
});

test('who accepts more than was offered may be told something better', () => {
  const converted = { accept: text(DOCKER), mediaType: DOCKER };
  assert.ok(!isAnswerTo(converted, text(DOCKER, LIST)));
  assert.ok(!isAnswerTo(converted, text(...CONTAINERD)));
  assert.ok(!isAnswerTo({ accept: text(DOCKER, LIST, OCI), mediaType: DOCKER }, text(...CONTAINERD)));
});

test('who offered every type of today offered all: one answer for the clients of a host', () => {
  const podman = [...DOCKERD.toReversed(), 'application/vnd.docker.distribution.manifest.v1+json'];
  for (const accept of [DOCKERD, CONTAINERD, podman, []]) {
    for (const other of [DOCKERD, CONTAINERD, podman, []]) {
      assert.ok(isAnswerTo({ accept: text(...accept), mediaType: INDEX }, text(...other)));
    }
  }
});

test('preferences are part of the question', () => {
  const record = { accept: text(DOCKER, INDEX), mediaType: INDEX };
  assert.ok(!isAnswerTo(record, text(`${INDEX};q=0.1`, DOCKER)));
  assert.ok(!isAnswerTo({ accept: text(...CONTAINERD), mediaType: INDEX }, text(`${INDEX};q=0.1`, DOCKER)));
  assert.ok(!isAnswerTo({ accept: text('*/*;q=0.1', DOCKER), mediaType: DOCKER }, text(DOCKER, OCI)));
});

test('what is accepted: the type, its family, anything; what has no weight is not', () => {
  assert.ok(isAccepted(INDEX, text(INDEX)));
  assert.ok(isAccepted(INDEX, 'application/*'));
  assert.ok(isAccepted('Application/JSON', 'application/json'));
  assert.ok(!isAccepted(INDEX, text(`${INDEX};q=0`, '*/*')));
  assert.ok(!isAccepted(INDEX, `*/*,${INDEX};q=0.000`));
  assert.ok(isAccepted(INDEX, `${INDEX};q=0.01`));
  assert.ok(!isAccepted(INDEX, 'text/*'));
});

test('an answer to some is an answer to all who accept less and still take it', () => {
  const types = fc.subarray([INDEX, OCI, LIST, DOCKER, '*/*'], { minLength: 1 });
  fc.assert(
    fc.property(types, types, types, fc.constantFrom(INDEX, DOCKER), (offered, some, fewer, mediaType) => {
      const record = { accept: text(...offered), mediaType };
      if (!isAnswerTo(record, text(...some))) return;
      const less = text(...fewer.filter((type) => some.includes(type)), mediaType);
      if (some.includes(mediaType)) assert.ok(isAnswerTo(record, less));
    }),
  );
});
