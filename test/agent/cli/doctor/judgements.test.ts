import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeAgent, judgePeerPort, peerAddress } from '../../../../agent/cli/doctor/agent-check.ts';
import { judgeClock } from '../../../../agent/cli/doctor/clock-check.ts';
import { judgeContainers } from '../../../../agent/cli/doctor/container-check.ts';
import { judgeLanes } from '../../../../agent/cli/doctor/lanes-check.ts';
import { networkReason } from '../../../../agent/cli/doctor/network-reason.ts';
import { judgeMdns, judgeNetworkKey, judgePeers } from '../../../../agent/cli/doctor/peers-check.ts';
import type { Probe, Reached } from '../../../../agent/cli/doctor/probe.ts';
import { judgeProxy } from '../../../../agent/cli/doctor/proxy-check.ts';
import { judgeStore } from '../../../../agent/cli/doctor/store-check.ts';
import { findingsText } from '../../../../agent/cli/doctor/text.ts';
import { judgeUpstream } from '../../../../agent/cli/doctor/upstream-check.ts';
import { loadConfig } from '../../../../agent/config/load.ts';
import { sampleStatus } from '../support.ts';

const GIB = 1024 ** 3;
const around = { isRoot: true, home: '/root', cwd: '/', env: {} };
const config = (...set: string[]) => loadConfig({ set }, { ...around, home: '/nowhere' });

test('the agent: there, not there, or somebody else in its place', () => {
  const address = '127.0.0.1:5055';
  const gone = new Error('no agent answers at 127.0.0.1:5055: connection refused');
  assert.equal(judgeAgent({ address, answer: sampleStatus(), listener: 'unseen' }).state, 'ok');
  const nobody = judgeAgent({ address, answer: gone, listener: 'nobody' });
  assert.deepEqual([nobody.state, nobody.advice], ['fail', 'start it: layerlan start']);
  assert.equal(judgeAgent({ address, answer: gone, listener: 'unseen' }).state, 'fail');
  const other = judgeAgent({ address, answer: gone, listener: { process: { pid: 7, name: 'nginx' } } });
  assert.match(other.what, /nginx \(pid 7\) listens at 127\.0\.0\.1:5055/);
  assert.match(judgeAgent({ address, answer: gone, listener: { process: undefined } }).what, /another user’s process/);
  assert.equal(judgePeerPort('0.0.0.0:4055', 'nobody'), undefined);
  assert.match(judgePeerPort('0.0.0.0:4055', { process: { pid: 7, name: 'x' } })?.what ?? '', /x \(pid 7\)/);
  assert.deepEqual(peerAddress('/ip4/0.0.0.0/tcp/4055'), { host: '0.0.0.0', port: 4055 });
  assert.equal(peerAddress('/ip4/0.0.0.0/tcp/0'), undefined);
  assert.equal(peerAddress('/dns4/a.lan/tcp/4055'), undefined);
});

test('the store: room, little, none, and no right to write', () => {
  const look = { path: '/s', free: 50 * GIB, problem: undefined, isRunning: false };
  assert.equal(judgeStore(look).state, 'ok');
  assert.equal(judgeStore({ ...look, free: 4 * GIB }).state, 'warn');
  assert.equal(judgeStore({ ...look, free: 1024 }).state, 'fail');
  assert.equal(judgeStore({ ...look, free: undefined }).state, 'warn');
  assert.match(judgeStore({ ...look, problem: 'permission denied' }).what, /by this user: permission denied/);
  assert.equal(judgeStore({ ...look, problem: 'permission denied' }).state, 'fail');
  // An agent that runs as somebody else has rights that are not seen here.
  assert.equal(judgeStore({ ...look, problem: 'permission denied', isRunning: true }).state, 'ok');
});

const reached = (over: Partial<Reached> = {}): Reached => ({ status: 200, skew: 0, contentType: '', ...over });
const probe = (registry: Reached | string, token?: Probe['token']): Probe => ({
  origin: 'https://r.test',
  registry,
  ...(token === undefined ? {} : { token }),
});

test('a registry: reached, refused, in the way, broken', () => {
  const state = (...probes: Probe[]) => judgeUpstream('r.test', probes).state;
  const what = (...probes: Probe[]) => judgeUpstream('r.test', probes).what;
  const html = 'text/html';
  for (const status of [200, 401, 403, 429]) assert.equal(state(probe(reached({ status }))), 'ok');
  for (const status of [404, 302, 407, 500]) assert.equal(state(probe(reached({ status }))), 'fail');
  assert.match(judgeUpstream('r', [probe(reached({ contentType: html }))]).advice ?? '', /a portal that wants a login/);
  assert.equal(state(probe('connection refused'), probe(reached())), 'warn', 'another endpoint is there');
  assert.equal(state(probe('a'), probe('b')), 'fail');
  const token = (answer: Reached | string) => probe(reached({ status: 401 }), { host: 'auth.test', answer });
  for (const status of [200, 400, 401, 403]) assert.equal(state(token(reached({ status }))), 'ok');
  assert.equal(state(token(reached({ status: 503 }))), 'fail');
  assert.match(what(token('connection refused')), /^token server auth\.test of https:\/\/r\.test: connection refused$/);
  assert.match(what(probe('\u001b[2J')), /^[ -~]+$/);
});

test('the clock is compared with the registry that is nearest to it', () => {
  const at = (...skews: (number | undefined)[]) => judgeClock(skews.map((skew) => probe(reached({ skew }))));
  assert.deepEqual(at(400), { name: 'clock', state: 'ok', what: 'within 1 s of a registry’s' });
  assert.equal(at(60_000).state, 'ok');
  assert.match(at(61_000).what, /1 min 1 s behind/);
  assert.match(at(-7_200_000).what, /2 h ahead of/);
  assert.equal(at(-7_200_000).state, 'warn');
  assert.equal(at(9_999_999, 10).state, 'ok', 'one registry is wrong');
  for (const none of [at(undefined), judgeClock([probe('gone')]), judgeClock([])]) {
    assert.equal(none.state, 'warn');
    assert.match(none.what, /not compared/);
  }
});

test('a proxy: named without its password, and in the way only where it can be', () => {
  const env = { https_proxy: 'http://me:hunter2@proxy.lan:3128' };
  assert.equal(judgeProxy({ HTTPS_PROXY: '' }, '127.0.0.1', false).state, 'ok');
  assert.equal(judgeProxy(env, '127.0.0.1', true).state, 'ok');
  const missed = judgeProxy(env, '127.0.0.1', false);
  assert.equal(missed.state, 'warn');
  assert.match(missed.what, /^HTTPS_PROXY names proxy\.lan:3128, /);
  assert.equal(judgeProxy(env, '192.168.1.5', true).state, 'warn');
  assert.match(judgeProxy(env, 'mirror.lan', true).advice ?? '', /add mirror\.lan to NO_PROXY/);
  for (const NO_PROXY of ['192.168.1.5', 'a, 192.168.1.5:5055', '*']) {
    assert.equal(judgeProxy({ ...env, NO_PROXY }, '192.168.1.5', true).state, 'ok', NO_PROXY);
  }
  assert.equal(judgeProxy({ ...env, NO_PROXY: '.lan' }, 'mirror.lan', true).state, 'ok');
  for (const proxy of ['me:hunter2@proxy:1', 'http://me:hunter2 @', 'http://me:hunter2@[x']) {
    assert.doesNotMatch(judgeProxy({ HTTP_PROXY: proxy }, '127.0.0.1', false).what, /hunter2/);
  }
});

test('mDNS and peers, as the agent tells of them', () => {
  const status = sampleStatus();
  const mdns = (one: typeof status.swarm.mdns) => judgeMdns({ ...status, swarm: { ...status.swarm, mdns: one } });
  assert.equal(mdns({ enabled: true, healthy: true }).state, 'ok');
  assert.equal(mdns({ enabled: false }).state, 'ok');
  assert.equal(mdns({ enabled: true }).state, 'warn');
  const broken = judgeMdns(status);
  assert.match(broken.what, /ENETUNREACH/);
  assert.match(broken.advice ?? '', /udp\/5353/);

  const peers = (neighbours: number, list = status.peers, ...set: string[]) =>
    judgePeers({ ...status, swarm: { ...status.swarm, neighbours }, peers: list }, config(...set));
  assert.deepEqual(peers(7), { name: 'peers', state: 'ok', what: '7 connected' });
  const lost = peers(0);
  assert.match(lost.what, /^2 known, none connected$/);
  assert.match(lost.advice ?? '', /tcp\/4055 is let through .* same network key/);
  const alone = peers(0, []);
  assert.match(
    alone.advice ?? '',
    /tcp\/4055 and udp\/5353 \(multicast\) through; beyond the broadcast domain, name a peer/,
  );
  assert.doesNotMatch(peers(0, [], 'peers.static=[/ip4/192.0.2.7/tcp/4055]').advice ?? '', /peers\.static/);
  const banned = status.peers.map((peer) => ({ ...peer, state: 'banned' }));
  assert.match(peers(0, banned).what, /^none known, 2 shut out/);
  for (const unseen of [judgeMdns(undefined), judgePeers(undefined, config())]) {
    assert.deepEqual([unseen.state, unseen.what], ['warn', 'not seen: no agent answers']);
  }
});

test('bulk lanes: open, not needed, off, or kept from opening by what can be mended', () => {
  const status = sampleStatus();
  const [peer] = status.peers;
  const lanes = (...bulk: string[]) =>
    judgeLanes({ ...status, peers: bulk.map((one) => ({ ...peer!, bulk: one })) }, config());
  assert.deepEqual(lanes('open', 'unused', 'off'), { name: 'bulk lanes', state: 'ok', what: '1 open' });
  for (const harmless of ['unused', 'refused', 'failed: the peer closed it', 'failed: the bulk thread died']) {
    assert.deepEqual([harmless, lanes(harmless).state], [harmless, 'ok']);
  }
  assert.equal(lanes('unused').what, 'none open, none needed just now');
  assert.equal(
    lanes('open', 'refused', 'refused', 'failed: read ECONNRESET').what,
    '1 open; 2 of 4 connected peers have none to give; 1 broke, and will be tried again: read ECONNRESET',
  );
  for (const why of ['connect ECONNREFUSED 10.0.0.2:4056', '10.0.0.2 port 4056 did not open within 5000 ms']) {
    const kept = lanes('open', `failed: ${why}`);
    assert.equal(kept.state, 'warn');
    assert.ok(kept.what.startsWith('1 of 2 connected peers give chunks by libp2p alone') && kept.what.endsWith(why));
    assert.match(kept.advice ?? '', /tcp\/4056.*peers\.bulk=null/);
  }
  const reason = 'peers.bulk.listen: cannot listen on 0.0.0.0 port 4056: EADDRINUSE';
  const taken = judgeLanes({ ...status, swarm: { ...status.swarm, bulk: { enabled: true, reason } } }, config());
  assert.deepEqual([taken.state, taken.what.endsWith(reason)], ['warn', true]);
  assert.equal(judgeLanes(status, config('peers.bulk=null')).what, 'off (peers.bulk)');
  assert.equal(judgeLanes(undefined, config()).state, 'ok');
});

test('an open LAN is told, and is no fault', () => {
  assert.match(judgeNetworkKey(undefined, config()).what, /^none/);
  assert.match(judgeNetworkKey(undefined, config('peers.networkKeyFile=/k')).what, /^set/);
  // What runs counts, and not what the file says by now.
  const status = sampleStatus();
  const open = { ...status, swarm: { ...status.swarm, networkKey: false } };
  assert.match(judgeNetworkKey(open, config('peers.networkKeyFile=/k')).what, /^none/);
  assert.equal(judgeNetworkKey(open, config()).state, 'ok');
});

test('a container is told of where it keeps clients from the mirror', () => {
  const states = (...given: Parameters<typeof judgeContainers>) => judgeContainers(...given).map(({ state }) => state);
  const buildkitd = { pid: 9, name: 'buildkitd' };
  assert.deepEqual(states(undefined, [], ['127.0.0.1']), ['ok']);
  assert.deepEqual(states('/.dockerenv', [], ['127.0.0.1']), ['warn']);
  assert.deepEqual(states('/.dockerenv', [], ['0.0.0.0']), ['ok']);
  assert.deepEqual(states('/.dockerenv', [buildkitd], ['127.0.0.1', '::1']), ['warn', 'warn']);
  assert.deepEqual(states(undefined, [buildkitd], ['127.0.0.1', '172.17.0.1']), ['ok']);
  assert.match(
    judgeContainers(undefined, [buildkitd], ['127.0.0.1'])[0]!.what,
    /^buildkitd \(pid 9\): .*127\.0\.0\.1 is not/,
  );
});

test('reasons are words', () => {
  const coded = (code: string) => networkReason(Object.assign(new Error('x'), { code }), 5000);
  assert.equal(coded('ENOTFOUND'), 'its name does not resolve');
  assert.match(coded('SELF_SIGNED_CERT_IN_CHAIN'), /a proxy that opens TLS\?/);
  assert.equal(coded('ETIMEDOUT'), 'no answer in 5 s');
  assert.equal(coded('EOTHER'), 'x');
  assert.equal(
    networkReason(AbortSignal.abort(new DOMException('x', 'TimeoutError')).reason, 5000),
    'no answer in 5 s',
  );
});

test('what is shown: a line a finding, the advice below, the sum at the end', () => {
  const findings = [
    { name: 'a', state: 'ok', what: 'well' },
    { name: 'long', state: 'fail', what: 'ill', advice: 'cure it' },
  ] as const;
  assert.equal(
    findingsText(findings),
    'ok    a     well\nfail  long  ill\n            → cure it\n\n1 fault, 0 warnings.\n',
  );
  assert.match(findingsText(findings.slice(0, 1)), /\nNothing is wrong\.\n$/);
});
