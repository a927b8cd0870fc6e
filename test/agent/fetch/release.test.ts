import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Source } from '../../../agent/fetch/ports.ts';
import { releasedTo } from '../../../agent/fetch/release.ts';
import { layoutOf, MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';

const facts = (
  sources: (Source | undefined)[],
  over: { streamedTo?: number; peersReleased?: boolean; released?: (index: number) => boolean } = {},
) => ({
  layout: layoutOf(sources.length * MIB - 7),
  sourceOf: (index: number) => sources[index],
  streamedTo: over.streamedTo ?? 0,
  isReleased: (index: number) => over.released?.(index) ?? over.peersReleased ?? false,
});

test('what came from upstream is shown at once', () => {
  assert.equal(releasedTo(facts(['upstream', 'upstream', undefined, undefined]), 0), 2 * MIB);
});

test('what came from peers waits for the whole', () => {
  assert.equal(releasedTo(facts(['upstream', 'peer', 'upstream', undefined]), 0), MIB);
  assert.equal(releasedTo(facts(['peer', 'peer', undefined]), 5), 5);
});

test('what came from peers is shown chunk by chunk once it may be', () => {
  assert.equal(releasedTo(facts(['peer', 'peer', undefined, undefined], { peersReleased: true }), 0), 2 * MIB);
});

test('a chunk that may not be shown yet holds up those behind it', () => {
  const released = (index: number) => index !== 1;
  assert.equal(releasedTo(facts(['peer', 'peer', 'peer', undefined], { released }), 0), MIB);
});

test('bytes from upstream are shown before their chunk is whole', () => {
  assert.equal(releasedTo(facts(['upstream', undefined, undefined], { streamedTo: MIB + 10 }), 3), MIB + 10);
});

test('a stream elsewhere in the blob shows nothing here', () => {
  assert.equal(releasedTo(facts([undefined, undefined, undefined], { streamedTo: MIB + 10 }), 0), 0);
});

test('the last chunk is never shown, not even while it streams', () => {
  const all: Source[] = ['upstream', 'upstream', 'upstream'];
  assert.equal(releasedTo(facts(all, { peersReleased: true }), 0), 2 * MIB);
  assert.equal(releasedTo(facts(['upstream', 'upstream', undefined], { streamedTo: 2 * MIB + 9 }), 0), 2 * MIB);
  assert.equal(releasedTo(facts(['upstream']), 0), 0);
});

test('whatever the state: never back, never an unmarked byte, never a stranger’s unreleased byte', () => {
  const source = fc.constantFrom<Source | undefined>('upstream', 'peer', undefined);
  fc.assert(
    fc.property(
      fc.array(source, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      fc.nat({ max: 8 * MIB }),
      fc.nat({ max: 8 * MIB }),
      (sources, peersReleased, streamedTo, at) => {
        const given = facts(sources, { streamedTo, peersReleased });
        const position = Math.min(at, given.layout.size);
        const end = releasedTo(given, position);
        assert.ok(end >= position);
        for (let index = 0; index < sources.length; index++) {
          const shown = end > position && end > index * MIB && position < (index + 1) * MIB;
          if (!shown) continue;
          assert.notEqual(index, sources.length - 1);
          if (sources[index] === 'peer') assert.ok(peersReleased);
          if (sources[index] === undefined) assert.ok(end <= streamedTo);
        }
      },
    ),
  );
});
