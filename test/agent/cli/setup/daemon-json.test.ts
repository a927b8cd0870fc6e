import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withMirror } from '../../../../agent/cli/setup/daemon-json.ts';
import { membersOf } from '../../../../agent/cli/setup/json-members.ts';

const PATH = '/etc/docker/daemon.json';
const URL_ = 'http://127.0.0.1:5055';
const merge = (text: string | undefined) => withMirror(PATH, text, URL_);

test('a file is made where there is none, or an empty one', () => {
  const made = '{\n  "registry-mirrors": ["http://127.0.0.1:5055"]\n}\n';
  for (const text of [undefined, '', ' \n', '{}', '{ }\n']) assert.equal(merge(text)?.trim(), made.trim());
});

test('the mirror is added where it belongs, and every other character stays', () => {
  const cases: [before: string, after: string][] = [
    ['{\n    "debug": true\n}\n', '{\n    "debug": true,\n    "registry-mirrors": ["http://127.0.0.1:5055"]\n}\n'],
    ['{"debug":true}', '{"debug":true, "registry-mirrors": ["http://127.0.0.1:5055"]}'],
    ['{"registry-mirrors":[]}', '{"registry-mirrors":["http://127.0.0.1:5055"]}'],
    ['{"registry-mirrors": ["https://a"]}', '{"registry-mirrors": ["http://127.0.0.1:5055", "https://a"]}'],
    [
      '{\n  "registry-mirrors": [\n    "https://a"\n  ],\n  "n": 12345678901234567890\n}',
      '{\n  "registry-mirrors": [\n    "http://127.0.0.1:5055",\n    "https://a"\n  ],\n  "n": 12345678901234567890\n}',
    ],
    [
      '{"2":1.0,"1":{"registry-mirrors":["x"]}}',
      '{"2":1.0,"1":{"registry-mirrors":["x"]}, "registry-mirrors": ["http://127.0.0.1:5055"]}',
    ],
  ];
  for (const [before, after] of cases) assert.equal(merge(before), after);
});

test('what names the mirror already is not touched', () => {
  for (const url of [URL_, `${URL_}/`]) {
    const text = `{"registry-mirrors":["https://a", "${url}"]}`;
    assert.equal(merge(text), text);
  }
});

test('what is no JSON object is refused, and not shown', () => {
  const cases = [
    '{',
    '{"password": "hunter2"',
    '[]',
    '5',
    'null',
    '{"a":1,}',
    '// comment\n{}',
    '{"registry-mirrors":"x"}',
    '{"registry-mirrors":[1]}',
    '{"registry-mirrors":null}',
  ];
  for (const text of cases) {
    assert.throws(
      () => merge(text),
      (error: Error) => {
        assert.match(error.message, /^\/etc\/docker\/daemon\.json .*; it was not touched$/);
        assert.doesNotMatch(error.message, /hunter2|\n/);
        return 'code' in error && error.code === 'SETUP_REFUSED';
      },
    );
  }
});

/** Objects as operators could have them, in several layouts. */
const daemonJson = fc
  .tuple(
    fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 }),
    fc.option(fc.array(fc.webUrl(), { maxLength: 3 })),
    fc.constantFrom(undefined, 1, 2, '\t'),
  )
  .map(([others, mirrors, indent]) => {
    const value = mirrors === null ? others : { ...others, 'registry-mirrors': mirrors };
    return JSON.stringify(value, null, indent);
  });

test('any daemon.json keeps its keys, their order and values, and is done once', () => {
  fc.assert(
    fc.property(daemonJson, (text) => {
      const before = JSON.parse(text) as Record<string, unknown>;
      const merged = merge(text);
      const { 'registry-mirrors': mirrors, ...others } = JSON.parse(merged) as Record<string, unknown>;
      const { 'registry-mirrors': old = [], ...same } = before;
      assert.deepEqual(others, same);
      assert.deepEqual(mirrors, [URL_, ...(old as string[])]);
      const keys = membersOf(merged).map(({ key }) => key);
      const expected = membersOf(text).map(({ key }) => key);
      assert.deepEqual(keys, expected.includes('registry-mirrors') ? expected : [...expected, 'registry-mirrors']);
      assert.equal(merge(merged), merged);
    }),
  );
});

test('the members of any object are found where they stand', () => {
  fc.assert(
    fc.property(daemonJson, (text) => {
      const members = membersOf(text).map(({ key, start, end }) => [key, JSON.parse(text.slice(start, end))]);
      assert.deepEqual(Object.fromEntries(members), JSON.parse(text));
    }),
  );
});
