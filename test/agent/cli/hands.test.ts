import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineText as gcText } from '../../../agent/cli/gc.ts';
import { blobText, imageText } from '../../../agent/cli/ls.ts';
import { pinnedText } from '../../../agent/cli/pin.ts';
import { lineText as rmText } from '../../../agent/cli/rm.ts';
import { verify, lineText as verifyText } from '../../../agent/cli/verify.ts';
import { command, serve } from './support.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const IMAGE = 'docker.io/library/alpine:latest';
const time = '2026-11-22T10:00:00.000Z';
const now = Date.parse(time) + 185_000;
const MIB = 1024 * 1024;

const image = {
  ...{ image: IMAGE, digest: DIGEST, platforms: { held: 1, named: 8 }, blobs: 4, size: 10 * MIB },
  ...{ held: { blobs: 4, size: 10 * MIB }, lastUsed: time, pinned: true, private: true, holders: 3 },
};
const blob = {
  ...{ digest: DIGEST, size: MIB, mediaType: null, lastUsed: time, checkedAt: time },
  ...{ pinned: false, private: false, holders: 0 },
};
const lines = (...values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');
const at = (port: number) => ['--set', `mirror.listen=127.0.0.1:${port}`];

test('a line for each image and blob', () => {
  assert.equal(
    imageText(image, now),
    `sha256:aaaaaaaaaaaa  10.0 MiB   all     3 min 5 s      3     pinned,private   ${IMAGE}`,
  );
  const held = (over: object) =>
    imageText({ ...image, ...over }, now)
      .slice(32, 38)
      .trim();
  assert.equal(held({ held: { blobs: 3, size: 5 * MIB } }), '50 %');
  assert.equal(held({ held: { blobs: 3, size: 10 * MIB - 1 } }), '99 %', 'nearly all is not all');
  assert.equal(held({ platforms: { held: 0, named: 8 }, blobs: 1, held: { blobs: 1, size: 10 } }), 'index');
  assert.equal(held({ held: { blobs: 0, size: 0 }, lastUsed: null }), 'none');
  assert.match(imageText({ ...image, image: null, pinned: false, private: false }, now), / 3 {5}– +–$/);
  assert.equal(
    blobText({ ...blob, mediaType: 'a/manifest' }, now),
    `1.00 MiB   3 min 5 s      3 min 5 s      0     –                ${DIGEST} a/manifest`,
  );
});

test('what was pinned, with what is missing of it', () => {
  const pinned = { image: IMAGE, digest: DIGEST, blobs: 4, missing: { blobs: 0, size: 0, first: [] } };
  assert.equal(pinnedText(pinned), `${IMAGE} is pinned: ${DIGEST}, 4 blobs, all of them held.\n`);
  const first = Array.from({ length: 12 }, () => ({ digest: DIGEST, size: MIB, kind: 'blob' }));
  const text = pinnedText({ ...pinned, missing: { blobs: 100, size: 100 * MIB, first } });
  assert.match(text, /100 of them \(100 MiB\) are missing/);
  assert.equal(text.split('\n').length, 1 + 10 + 1 + 1);
  assert.match(text, /\n {2}and 90 more\n$/);
});

test('what went and what stayed', () => {
  assert.equal(rmText({ gone: DIGEST, size: MIB }), `gone   ${DIGEST}  1.00 MiB\n`);
  assert.equal(rmText({ stays: DIGEST, size: MIB, by: IMAGE }), `stays  ${DIGEST}  1.00 MiB  ${IMAGE} is made of it\n`);
  assert.equal(
    rmText({ done: { image: IMAGE, blobs: 2, size: MIB, stayed: 1 } }),
    `${IMAGE}: 2 gone, 1.00 MiB; 1 stayed for others.\n`,
  );
  const gone = { gone: DIGEST, kind: 'partial', size: MIB, lastUsed: time } as const;
  assert.equal(
    gcText(gone, { dryRun: true }, now),
    `would go  ${DIGEST}  1.00 MiB  used 3 min 5 s ago  (half fetched)\n`,
  );
  const done = { dryRun: false, blobs: 1, partials: 2, size: MIB, used: 5 * MIB, to: 4 * MIB };
  assert.equal(
    gcText({ done }, {}, now),
    '1 blobs and 2 half fetched gone, 1.00 MiB; the store takes 5.00 MiB, more than 4.00 MiB: the rest is pinned or in use, or is the index.\n',
  );
  assert.match(gcText({ done: { ...done, to: 6 * MIB } }, {}, now), /the store takes 5\.00 MiB\.\n$/);
});

test('what was checked', () => {
  assert.equal(
    verifyText({ rotten: DIGEST, mended: false, why: 'it is not pinned' }),
    `rotten  ${DIGEST}  dropped, and not fetched again: it is not pinned\n`,
  );
  assert.equal(verifyText({ unread: DIGEST, why: 'EACCES' }), `unread  ${DIGEST}  cannot be read: EACCES\n`);
  const done = { checked: 5, bytes: MIB, rotten: 0, mended: 0, unread: 0 };
  assert.equal(verifyText({ done }), '5 blobs checked, 1.00 MiB: all of them good.\n');
  assert.match(verifyText({ done: { ...done, rotten: 2, mended: 1, unread: 1 } }), /2 rotten, 1 of .*; 1 could not/);
  assert.match(verifyText({ done: { ...done, checked: 0 } }), /^Nothing was due/);
});

test('as JSON each line is what the agent says', async (t) => {
  const said: Record<string, object[]> = {
    ls: [{ ...image, later: 'more' }, image],
    'ls --blobs': [{ ...blob, later: 'more' }],
    'rm alpine': [{ gone: DIGEST, size: 1 }, { done: { image: IMAGE, blobs: 1, size: 1, stayed: 0 } }],
    'gc --to 1GiB': [{ done: { dryRun: false, blobs: 0, partials: 0, size: 0, used: 5, to: 1 } }],
    verify: [{ checked: 1, bytes: 5 }, { done: { checked: 1, bytes: 5, rotten: 0, mended: 0, unread: 0 } }],
  };
  for (const [args, values] of Object.entries(said)) {
    const port = await serve(t, lines(...values));
    const { exit, out, err } = await command(...args.split(' '), '--json', ...at(port));
    assert.deepEqual({ exit, out, err }, { exit: 0, out: lines(...values), err: '' }, args);
  }
});

test('an empty store is told in words, and rot by the exit code', async (t) => {
  const empty = await serve(t, '\n');
  assert.deepEqual(await command('ls', ...at(empty)), { exit: 0, out: 'No image is held.\n', err: '' });
  assert.deepEqual(await command('ls', '--blobs', ...at(empty)), { exit: 0, out: 'No blob is held.\n', err: '' });
  const done = { done: { checked: 1, bytes: 5, rotten: 1, mended: 1, unread: 0 } };
  const found = await serve(t, lines({ rotten: DIGEST, mended: true, why: null }, done));
  const { exit, out } = await command('verify', ...at(found));
  assert.equal(exit, 1);
  assert.match(out, /^rotten .* and fetched again\n1 blobs checked.*1 rotten, 1 of these fetched again\.\n$/);
});

test('what is given wrongly is told before anybody is asked', async () => {
  for (const args of [
    ['gc', '--to', 'much'],
    ['pin', 'App'],
    ['unpin', ''],
    ['rm', `app@${DIGEST}0`],
    ['pin'],
    ['rm'],
  ]) {
    const { exit, out, err } = await command(...args, ...at(1));
    assert.deepEqual({ exit, out }, { exit: 2, out: '' }, args.join(' '));
    assert.match(err, /^layerlan: [^\n]+\n$/);
    assert.doesNotMatch(err, /no agent answers/);
  }
});

test('what the agent refuses is one line and an exit code, and moves no cursor', async (t) => {
  const problem = (error: string, message: string) =>
    JSON.stringify({ errors: [{ code: 'UNKNOWN', message, detail: { error, means: '' } }] });
  for (const args of [['ls'], ['pin', 'alpine'], ['unpin', 'alpine'], ['rm', 'alpine'], ['gc'], ['verify']]) {
    const refused = await serve(t, problem('REQUEST_DENIED', 'n\u001b[2Jo'), 403);
    const { exit, out, err } = await command(...args, ...at(refused));
    assert.deepEqual({ exit, out }, { exit: 1, out: '' }, args.join(' '));
    assert.match(err, /^layerlan: [^\n]*n[^\n]*o\n$/);
    assert.ok(!err.includes('\u001b'));
    const other = await command(...args, ...at(await serve(t, 'hello')));
    assert.match(other.err, /is no layerlan agent \(200\)/);
    const old = await command(...args, ...at(await serve(t, problem('UNSUPPORTED', 'POST is not for a mirror.'), 405)));
    assert.match(old.err, /^layerlan: what answers at 127\S+ cannot [^:]+: POST is not for a mirror\. \(405\)\n$/);
    assert.equal(old.exit, 1);
  }
});

test('why a check broke off does not stand behind how far it was', async (t) => {
  const problem = { errors: [{ code: 'UNKNOWN', message: 'closed', detail: { error: 'DRAINING', means: '' } }] };
  const port = await serve(t, lines({ checked: 1, bytes: 5 }, problem));
  let err = '';
  const terminal = {
    env: {},
    isTerminal: true,
    out: async () => {},
    err: async (text: string) => {
      err += text;
    },
  };
  await assert.rejects(verify({ set: [`mirror.listen=127.0.0.1:${port}`] }, terminal), { code: 'DRAINING' });
  assert.ok(err.endsWith('1 blobs checked, 5 B\r\u001b[K'), JSON.stringify(err));
});
