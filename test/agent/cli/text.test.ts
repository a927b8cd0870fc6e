import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peersText } from '../../../agent/cli/peers-text.ts';
import { printable, shortId } from '../../../agent/cli/printable.ts';
import { statusText } from '../../../agent/cli/status-text.ts';
import { shareText, sizeText, spanText } from '../../../agent/cli/units.ts';
import { sampleStatus } from './support.ts';

test('sizes have three figures and a binary unit', () => {
  const cases: [bytes: number, text: string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1024, '1.00 KiB'],
    [10 * 1024, '10.0 KiB'],
    [150 * 1024 ** 2, '150 MiB'],
    [1000 * 1024 ** 2, '0.98 GiB'],
    [4.5 * 1024 ** 3, '4.50 GiB'],
    [2 ** 70, '1048576 PiB'],
  ];
  for (const [bytes, text] of cases) assert.equal(sizeText(bytes), text);
});

test('spans have two units, shares a percent sign', () => {
  assert.equal(spanText(0), '0 s');
  assert.equal(spanText(59.9), '59 s');
  assert.equal(spanText(3_600), '1 h');
  assert.equal(spanText(3_725), '1 h 2 min');
  assert.equal(spanText(273_600), '3 d 4 h');
  assert.equal(shareText(0, 0), '–');
  assert.equal(shareText(1, 3), '33 %');
});

test('what else the host holds has a line where there is any', () => {
  assert.doesNotMatch(statusText(sampleStatus()), /elsewhere/);
  const { store, ...status } = sampleStatus();
  const of = (waiting: number) =>
    statusText({ ...status, store: { ...store, also: { blobs: 1, bytes: 2048, waiting } } });
  assert.match(of(0), /^held elsewhere +1 blob, 2\.00 KiB$/m);
  assert.match(of(7), /^held elsewhere +1 blob, 2\.00 KiB, 7 to be hashed$/m);
});

test('the status fits a terminal of 80 columns and says what was spared', () => {
  const text = statusText(sampleStatus());
  const lines = text.split('\n');
  for (const line of lines) assert.ok(line.length <= 80, line);
  assert.match(text, /^layerlan 0\.1\.0, up 3 d 4 h$/m);
  assert.match(text, /^store +\/var\/lib\/layerlan$/m);
  assert.match(text, /^ +132 blobs, 4\.21 GiB$/m);
  assert.match(text, /^to clients +12\.4 GiB$/m);
  assert.match(text, /^ {2}store +8\.20 GiB +66 %$/m);
  assert.match(text, /^uplink spared +11\.3 GiB$/m);
  assert.match(text, /^mDNS +not working: send ENETUNREACH/m);
  assert.ok(text.endsWith('\n') && !text.endsWith('\n\n'));
});

test('where the mirror listens, and where it will once the address is there', () => {
  const status = sampleStatus();
  status.mirror.awaited.push('172.17.0.1:5055');
  const listed =
    /^mirror +http:\/\/127\.0\.0\.1:5055\n +http:\/\/\[::1\]:5055\n +172\.17\.0\.1:5055 is not there yet$/m;
  assert.match(statusText(status), listed);
});

test('what the store takes and may, and what is wrong with it', () => {
  const status = sampleStatus();
  assert.match(statusText(status), /^ +4\.28 GiB of 20\.0 GiB used$/m);
  assert.doesNotMatch(statusText(status), /since/);
  const reason = 'the store cannot be written (EIO)';
  status.store = { ...status.store, state: 'failing', since: '2026-11-01T08:00:00.000Z', reason };
  assert.match(
    statusText(status),
    /^ +failing since 2026-11-01T08:00:00\.000Z\n +the store cannot be written \(EIO\)$/m,
  );
});

test('the limits that are set, and no others', () => {
  const status = sampleStatus();
  assert.doesNotMatch(statusText(status), /limits/);
  status.limits = { peerUpload: { rate: 10 * 1024 ** 2 }, peerDownload: null, upstream: { rate: null } };
  assert.match(statusText(status), /\nlimits +to peers 10\.0 MiB\/s\n +from upstream, not at this hour\n$/);
});

test('what registries said of their limits', () => {
  const status = sampleStatus();
  assert.doesNotMatch(statusText(status), /rate limits/);
  status.rateLimits = [
    { registry: 'docker.io', limit: 100, remaining: 76, window: 21_600 },
    { registry: 'other.example', limit: 5, remaining: 0, window: null },
  ];
  assert.match(
    statusText(status),
    /\nrate limits +docker\.io, 76 of 100 pulls left in 6 h\n +other\.example, 0 of 5 pulls left\n$/,
  );
});

test('a new agent’s status has no figures and no nonsense', () => {
  const status = sampleStatus();
  status.traffic = {
    upstreamBytes: 0,
    peerBytes: 0,
    servedBytes: 0,
    clientBytes: { store: 0, peer: 0, upstream: 0 },
    sparedBytes: 0,
  };
  status.swarm = { ...status.swarm, addresses: [], mdns: { enabled: false, healthy: false } };
  const text = statusText(status);
  assert.doesNotMatch(text, /NaN|undefined|Infinity/);
  assert.match(text, /^mDNS +off$/m);
  assert.match(text, /^peers at +–$/m);
});

test('the peers in columns', () => {
  assert.equal(
    peersText(sampleStatus().peers),
    [
      'PEER         STATE        BLOBS  STRIKES  BULK  ADDRESS',
      '…R9xVtbNWg   connected       12        0  open  /ip4/10.0.0.2/tcp/4055',
      '                                                /ip6/fe80::1/tcp/4055',
      '–            backing-off      –        3  –     /dns4/peer.lan/tcp/4055',
      '',
    ]
      .join('\n')
      .replace('…R9xVtbNWg  ', shortId(sampleStatus().peerId).padEnd(12)),
  );
  assert.equal(peersText([]), 'No peers are known.\n');
});

test('why a bulk lane failed stands below the table, which stays one', () => {
  const [peer] = sampleStatus().peers;
  const text = peersText([{ ...peer!, addresses: [], bulk: 'failed: connect ECONNREFUSED 10.0.0.2:4056 \u001b[1m' }]);
  const [, row, between, reason] = text.split('\n');
  assert.match(row ?? '', /^\S+ +connected +12 +0 {2}failed {2}–$/);
  assert.equal(between, '');
  assert.equal(reason, `${shortId(peer!.id!)}: no bulk lane, failed: connect ECONNREFUSED 10.0.0.2:4056 ?[1m`);
});

test('what a peer calls itself cannot drive a terminal', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u202e'), 'a?[2Jb?c?');
  const [peer] = sampleStatus().peers;
  const text = peersText([{ ...peer!, id: '\u001b]0;x\u0007', state: '\u001b[1m', addresses: ['/ip4/\u001b[2J'] }]);
  for (const character of text) assert.ok(character === '\n' || character >= ' ');
});
