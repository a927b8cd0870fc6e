import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Testimony, Trial } from '../../../../agent/fetch/rules/trial.ts';
import { toDigest } from '../../../../protocol/digest.ts';

const DIGEST = toDigest('sha256', Buffer.alloc(32, 7));
const TRUE = 'aa';
const FALSE = 'bb';

const testimony = (signer: string, sha256 = TRUE): Testimony => ({ signer, sha256 });

test('with nothing open and nothing heard there is nothing to do', () => {
  assert.deepEqual(new Trial(DIGEST, 'me').next(['a'], 0), { kind: 'wait', until: Number.POSITIVE_INFINITY });
});

test('a dispute is looked into at once, and both sides are measured by what is found', () => {
  const trial = new Trial(DIGEST, 'me');
  trial.dispute(3);
  assert.deepEqual(trial.next([], 0), { kind: 'check', index: 3 });
  assert.deepEqual(trial.found(3, TRUE), []);
  assert.equal(trial.next([], 0).kind, 'wait');
  assert.ok(trial.isKnown(3));
});

test('an accusation is looked into, and convicts whom it names only where upstream says so', () => {
  const trial = new Trial(DIGEST, 'me');
  trial.accused('accuser', 5, testimony('liar', FALSE));
  assert.deepEqual(trial.next([], 0), { kind: 'check', index: 5 });
  assert.deepEqual(trial.found(5, TRUE), [testimony('liar', FALSE)]);
  trial.accused('accuser', 6, testimony('honest'));
  assert.deepEqual(trial.next([], 0), { kind: 'check', index: 6 });
  assert.deepEqual(trial.found(6, TRUE), []);
});

test('who cries wolf three times is not listened to any more, and nobody is accused of what this agent saw itself', () => {
  const trial = new Trial(DIGEST, 'me');
  for (let index = 0; index < 3; index++) {
    trial.accused('wolf', index, testimony('honest'));
    assert.equal(trial.next([], 0).kind, 'check');
    trial.found(index, TRUE);
  }
  trial.accused('wolf', 9, testimony('honest'));
  trial.accused('other', 9, testimony('me', FALSE));
  assert.equal(trial.next([], 0).kind, 'wait');
});

test('each signer is looked at by two of all who take the blob', () => {
  const everybody = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const testimonies = new Map(everybody.map((signer, index) => [index, testimony(signer)]));
  const probes = new Map<number, number>();
  for (const self of everybody) {
    const trial = new Trial(DIGEST, self);
    trial.open(testimonies);
    const others = everybody.filter((each) => each !== self);
    // The second opinions come after the probes: each here is of a chunk that was not probed.
    for (let step = trial.next(others, 0); step.kind === 'check'; step = trial.next(others, 0)) {
      probes.set(step.index, (probes.get(step.index) ?? 0) + 1);
      trial.found(step.index, TRUE);
    }
  }
  for (const [index, times] of probes)
    assert.ok(times >= 1 && times <= 3, `chunk ${index} was looked at ${times} times`);
  assert.equal(probes.size, everybody.length);
});

test('what nobody looks at again in time becomes the next one’s', () => {
  const trial = new Trial(DIGEST, 'me');
  trial.open(new Map([[0, testimony('signer')]]));
  const others = ['signer', 'a', 'b', 'c', 'd', 'e'];
  let now = 0;
  let step = trial.next(others, now);
  while (step.kind === 'wait') {
    assert.ok(step.until > now && now < 60_000);
    now = step.until;
    step = trial.next(others, now);
  }
  assert.deepEqual(step, { kind: 'check', index: 0 });
});

test('a chunk that could not be looked at is looked at again, and not left to the next one', () => {
  const trial = new Trial(DIGEST, 'me');
  trial.open(new Map([[0, testimony('signer')]]));
  const alone = ['signer'];
  assert.deepEqual(trial.next(alone, 0), { kind: 'check', index: 0 });
  trial.failed(0);
  assert.deepEqual(trial.next([...alone, 'a'], 0), { kind: 'check', index: 0 });
});

/** Honest agents and liars who have all chunks and no match: who is convicted, and what it costs. */
function tried(signers: readonly string[], liars: ReadonlySet<string>, falseChunks: ReadonlySet<number>) {
  const everybody = [...new Set([...signers, 'h1', 'h2', 'h3'])];
  const honest = everybody.filter((each) => !liars.has(each));
  const shaOf = (index: number) => (falseChunks.has(index) ? FALSE : TRUE);
  const trials = new Map(honest.map((self) => [self, new Trial(DIGEST, self)]));
  for (const trial of trials.values())
    trial.open(new Map(signers.map((each, index) => [index, testimony(each, shaOf(index))])));
  const convicted = new Set<string>();
  let checks = 0;
  let now = 0;
  const done = new Set<string>();
  while (done.size < honest.length && now < 600_000) {
    let until = Number.POSITIVE_INFINITY;
    for (const [self, trial] of trials) {
      if (done.has(self)) continue;
      const step = trial.next(
        everybody.filter((each) => each !== self),
        now,
      );
      if (step.kind === 'wait') {
        until = Math.min(until, step.until);
        continue;
      }
      if (step.kind === 'alone') {
        done.add(self);
        continue;
      }
      until = now;
      checks++;
      for (const { signer } of trial.found(step.index, TRUE)) convicted.add(signer);
      for (const [other, theirs] of trials) if (other !== self) theirs.vouched(self, step.index, TRUE);
      if (convicted.size > 0) return { convicted, checks, now };
    }
    if (done.size < honest.length) now = Number.isFinite(until) ? Math.max(until, now) : 600_000;
  }
  return { convicted, checks, now };
}

test('a liar in one chunk of many is found, nobody honest is convicted, and nothing waits for ever', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  fc.assert(
    fc.property(
      fc.array(name, { minLength: 1, maxLength: 60 }),
      fc.nat(),
      fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
      (signers, at, liarNames) => {
        const liars = new Set(liarNames);
        const theirs = signers.flatMap((signer, index) => (liars.has(signer) ? [index] : []));
        const chosen = theirs[at % Math.max(1, theirs.length)];
        const { convicted, now, checks } = tried(signers, liars, new Set(chosen === undefined ? [] : [chosen]));
        if (chosen !== undefined) assert.deepEqual([...convicted], [signers[chosen]]);
        else assert.equal(convicted.size, 0);
        assert.ok(now < 120_000, `took ${now} ms`);
        // One copy more, and a chunk of each signer by two.
        assert.ok(checks <= signers.length + 2 * 9 + 9, `${checks} checks of ${signers.length} chunks`);
      },
    ),
  );
});
