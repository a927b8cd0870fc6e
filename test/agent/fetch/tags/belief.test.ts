import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ageOf, flawOf, isNewer, MAX_AHEAD, newestOf } from '../../../../agent/fetch/tags/belief.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import { type AskedTag, type CheckedTag, type SignedTag, tagStatement } from '../../../../protocol/tag-record.ts';
import { signatureOf } from '../../../support/memory-swarm.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const NOW = 1_763_771_234_567;
const asked: AskedTag = { registry: 'docker.io', repository: 'library/app', tag: 'latest', accept: INDEX };
const checked: CheckedTag = {
  accept: INDEX,
  digest: toDigest('sha256', Buffer.alloc(32)),
  mediaType: INDEX,
  size: 2,
  checkedAt: NOW - 1000,
};

const signed = (over: Partial<CheckedTag> = {}, signer = 'peer', of: AskedTag = asked): SignedTag => {
  const tag = { ...checked, ...over };
  return { ...tag, signer, signature: signatureOf(signer, tagStatement(of, tag)) };
};
const verify = (signer: string, statement: Uint8Array, signature: Uint8Array) =>
  Buffer.compare(signatureOf(signer, statement), signature) === 0;
const flaw = (tag: SignedTag, now = NOW) => flawOf({ peer: 'peer', tag }, asked, now, verify);

test('what a peer signed itself, to this question, for this client, has no flaw', () => {
  assert.equal(flaw(signed()), undefined);
  assert.equal(flaw(signed({ checkedAt: 0 })), undefined);
});

test('what another signed is relayed, whether its signature is good or not', () => {
  assert.equal(flaw(signed({}, 'somebody')), 'relayed');
  assert.equal(flaw({ ...signed({}, 'somebody'), signature: new Uint8Array(64) }), 'relayed');
});

test('what was changed after it was signed, or answers another question, is forged', () => {
  const digest = toDigest('sha256', Buffer.alloc(32, 1));
  for (const change of [{ digest }, { size: 3 }, { checkedAt: NOW }, { accept: '*/*' }, { mediaType: 'a/b' }]) {
    assert.equal(flaw({ ...signed(), ...change }), 'forged', String(Object.keys(change)));
  }
  for (const change of [{ tag: 'v1' }, { repository: 'library/other' }, { registry: 'ghcr.io' }]) {
    assert.equal(flaw(signed({}, 'peer', { ...asked, ...change })), 'forged');
  }
});

test('what upstream would not have told this client does not fit', () => {
  assert.equal(flaw(signed({ mediaType: 'application/vnd.oci.image.manifest.v1+json' })), 'unfitting');
  assert.equal(flaw(signed({ accept: 'a/b' })), 'unfitting');
});

test('a date is refused from just above a minute ahead on, by the clock of who asks', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: NOW }),
      fc.integer({ min: -10 * MAX_AHEAD, max: 10 * MAX_AHEAD }),
      (now, ahead) => {
        const tag = signed({ checkedAt: Math.max(0, now + ahead) });
        assert.equal(flaw(tag, now), tag.checkedAt - now > MAX_AHEAD ? 'ahead' : undefined);
      },
    ),
  );
  assert.equal(flaw(signed({ checkedAt: NOW + 60_000 })), undefined);
  assert.equal(flaw(signed({ checkedAt: NOW + 60_001 })), 'ahead');
});

const dates = fc.array(fc.integer({ min: 0, max: 2 * NOW }), { maxLength: 10 });

test('the newest is one of them, and none is newer', () => {
  fc.assert(
    fc.property(dates, (all) => {
      const newest = newestOf(all.map((checkedAt) => signed({ checkedAt })));
      assert.equal(newest?.checkedAt, all.length === 0 ? undefined : Math.max(...all));
    }),
  );
});

test('what this agent found itself gives way to what is newer, and to anything where its date cannot be', () => {
  const at = (checkedAt: number) => ({ checkedAt });
  assert.equal(isNewer(at(NOW - 1), at(NOW - 2), NOW), true);
  assert.equal(isNewer(at(NOW - 2), at(NOW - 2), NOW), false);
  assert.equal(isNewer(at(NOW - 3), at(NOW - 2), NOW), false);
  assert.equal(isNewer(at(NOW - 3), at(NOW + 1), NOW), true);
});

test('nothing is younger than new', () => {
  assert.equal(ageOf({ checkedAt: NOW - 5 }, NOW), 5);
  assert.equal(ageOf({ checkedAt: NOW + 5 }, NOW), 0);
});
