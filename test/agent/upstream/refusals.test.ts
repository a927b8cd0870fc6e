import assert from 'node:assert/strict';
import test from 'node:test';
import { credentialOf } from '../../../agent/upstream/credentials/source.ts';
import { createRefusals } from '../../../agent/upstream/refusals.ts';

const endpoint = { origin: 'https://registry', prefix: '', isConfigured: true };
const credential = credentialOf({ kind: 'password', username: 'me', password: 'old' });

test('after each refusal it waits twice as long, up to five minutes; what went well for long begins anew', () => {
  let now = 0;
  const refusals = createRefusals(() => now);
  const pauses: number[] = [];
  for (let row = 0; row < 8; row++) {
    refusals.note({ endpoint, credential });
    refusals.note({ endpoint, credential });
    const pause = refusals.remaining({ endpoint, credential });
    pauses.push(pause);
    now += pause;
    assert.equal(refusals.remaining({ endpoint, credential }), 0);
  }
  assert.deepEqual(
    pauses,
    [10, 20, 40, 80, 160, 300, 300, 300].map((seconds) => seconds * 1000),
  );
  now += 300_000;
  refusals.note({ endpoint, credential });
  assert.equal(refusals.remaining({ endpoint, credential }), 10_000);
});

test('a refusal of one repository stands for two seconds, however often it comes', () => {
  let now = 0;
  const refusals = createRefusals(() => now);
  const one = { endpoint, credential, repository: 'group/app' };
  for (let row = 0; row < 8; row++) {
    refusals.note(one);
    assert.equal(refusals.remaining(one), 2000);
    now += 1999;
    assert.equal(refusals.remaining(one), 1);
    refusals.note(one);
    assert.equal(refusals.remaining(one), 1, 'of one time with the first');
    now += 1;
    assert.equal(refusals.remaining(one), 0);
  }
});

test('another credential, endpoint or repository is not meant', () => {
  const refusals = createRefusals(() => 0);
  refusals.note({ endpoint, credential, repository: 'group/app' });
  assert.ok(refusals.remaining({ endpoint, credential, repository: 'group/app' }) > 0);
  const changed = credentialOf({ kind: 'password', username: 'me', password: 'new' });
  for (const other of [
    { endpoint, credential },
    { endpoint, credential, repository: 'group/other' },
    { endpoint, credential: changed, repository: 'group/app' },
    { endpoint: { ...endpoint, origin: 'https://other' }, credential, repository: 'group/app' },
  ]) {
    assert.equal(refusals.remaining(other), 0);
  }
});
