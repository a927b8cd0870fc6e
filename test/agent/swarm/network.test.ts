import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateNetworkKey, parseNetworkKey } from '../../../agent/swarm/key.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { toDigest } from '../../../protocol/digest.ts';
import {
  blob,
  isConnected,
  nextAddress,
  soon,
  startConnected,
  startPeer,
  type TestPeer,
  temporaryDirectory,
  until,
} from './fixture.ts';

async function holdersOf(peer: TestPeer, digest: Digest): Promise<string[]> {
  const found: string[] = [];
  for await (const holder of peer.swarm.holders(digest, soon())) found.push(holder.peer);
  return found;
}

test('the identity is made once, for the owner alone, and kept', async (t) => {
  const first = await startPeer(t);
  assert.equal((await stat(first.identityPath)).mode & 0o777, 0o600);
  await first.swarm.stop();
  const second = await startPeer(t, { identityPath: first.identityPath });
  assert.equal(second.swarm.peerId, first.swarm.peerId);
});

test('a damaged identity is an error that says what to do, and is left alone', async (t) => {
  const identityPath = join(await temporaryDirectory(t), 'identity');
  await writeFile(identityPath, 'not a key');
  await assert.rejects(startPeer(t, { identityPath }), { code: 'STORE_UNWRITABLE', message: /damaged.*remove it/ });
  assert.equal(await readFile(identityPath, 'utf8'), 'not a key');
});

test('an identity that cannot be written is STORE_UNWRITABLE', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'file'), '');
  await assert.rejects(startPeer(t, { identityPath: join(directory, 'file', 'identity') }), {
    code: 'STORE_UNWRITABLE',
  });
  await mkdir(join(directory, 'identity'));
  await assert.rejects(startPeer(t, { identityPath: join(directory, 'identity') }), { code: 'STORE_UNWRITABLE' });
});

test('a port that is taken, an address that is not here and one that is no multiaddr are told apart', async (t) => {
  const peer = await startPeer(t);
  const taken = (peer.swarm.addresses[0] ?? '').replace(/\/p2p\/.*$/, '');
  await assert.rejects(startPeer(t, { listen: [taken] }), { code: 'ADDRESS_IN_USE' });
  await assert.rejects(startPeer(t, { listen: ['/ip4/192.0.2.1/tcp/0'] }), { code: 'ADDRESS_UNUSABLE' });
  await assert.rejects(startPeer(t, { listen: ['127.0.0.1:4055'] }), { code: 'CONFIG_INVALID' });
  await assert.rejects(startPeer(t, { staticPeers: ['somewhere'] }), { code: 'CONFIG_INVALID' });
});

test('a static peer that was away is dialled again when it is back, and known by its id', async (t) => {
  const listen = ['/ip4/127.7.7.7/tcp/0'];
  const first = await startPeer(t, { listen });
  const address = (first.swarm.addresses[0] ?? '').replace(/\/p2p\/.*$/, '');
  const seeker = await startPeer(t, { staticPeers: [address], redialMin: 100, redialMax: 200 });
  await until(() => isConnected(seeker.swarm, first.swarm));
  await first.swarm.stop();
  await until(() => seeker.swarm.peers().some(({ state }) => state === 'backing-off'));
  await until(() => seeker.log.some(({ level }) => level >= 40));
  assert.equal(seeker.swarm.hasNeighbours, false);
  // Set up anew: another identity at the same address.
  const second = await startPeer(t, { listen: [address] });
  await until(() => isConnected(seeker.swarm, second.swarm));
  assert.deepEqual(
    seeker.swarm.peers().map(({ id, state }) => ({ id, state })),
    [{ id: second.swarm.peerId, state: 'connected' }],
  );
  const warnings = seeker.log.filter(({ level }) => level >= 40);
  assert.deepEqual(
    warnings.map(({ msg }) => msg),
    ['static peer cannot be reached; backing off'],
  );
});

for (const [who, theirs] of [
  ['another key', parseNetworkKey(generateNetworkKey())],
  ['no key', undefined],
] as const) {
  test(`a peer with ${who} exchanges nothing; the dialler backs off and says so once`, async (t) => {
    const key = parseNetworkKey(generateNetworkKey());
    const member = await startPeer(t, { networkKey: key, dht: true });
    const digest = member.holdings.hold(blob(100));
    const stranger = await startPeer(t, {
      networkKey: theirs,
      dht: true,
      staticPeers: member.swarm.addresses,
      redialMin: 50,
      redialMax: 100,
    });
    const failures = () => stranger.log.filter(({ failures }) => typeof failures === 'number');
    await until(() => failures().length >= 4);
    assert.equal(stranger.swarm.hasNeighbours, false);
    assert.equal(member.swarm.hasNeighbours, false);
    assert.deepEqual(await holdersOf(stranger, digest), []);
    const warnings = failures().filter(({ level }) => level >= 40);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]?.msg ?? '', /refuses this agent: it has another network key or none/);
    assert.equal(member.log.filter(({ level }) => level >= 40).length, 0);
  });
}

test('peers with the same key are neighbours, and trusted', async (t) => {
  const networkKey = parseNetworkKey(generateNetworkKey());
  const one = await startPeer(t, { networkKey });
  const two = await startConnected(t, [one], { networkKey });
  assert.ok(two.swarm.isTrusted);
  assert.ok(two.swarm.status().networkKey);
  assert.deepEqual(await holdersOf(two, one.holdings.hold(blob(10))), [one.swarm.peerId]);
});

test('a holder that is no neighbour is found by the DHT of a third, until the blob is gone', async (t) => {
  const meeting = await startPeer(t, { dht: true });
  const seeder = await startConnected(t, [meeting], { dht: true });
  const digest = seeder.holdings.hold(blob(100));
  const seeker = await startConnected(t, [meeting], { dht: true });
  assert.equal(isConnected(seeker.swarm, seeder.swarm), false);
  await until(async () => (await holdersOf(seeker, digest)).includes(seeder.swarm.peerId));

  // A later seeker finds a record of what is no longer there: nobody is yielded, and nothing hangs.
  seeder.holdings.drop(digest);
  const late = await startConnected(t, [meeting], { dht: true });
  assert.deepEqual(await holdersOf(late, digest), []);
});

test('a blob with a sha512 digest is left out of the DHT without a word, and found among neighbours', async (t) => {
  const meeting = await startPeer(t, { dht: true });
  const seeder = await startConnected(t, [meeting], { dht: true });
  const plain = seeder.holdings.hold(blob(100));
  // What is held last is advertised first.
  const digest = seeder.holdings.hold(blob(100), 'sha512');
  const seeker = await startConnected(t, [meeting], { dht: true });
  await until(async () => (await holdersOf(seeker, plain)).includes(seeder.swarm.peerId));
  const neighbour = await startConnected(t, [seeder], { dht: true });
  assert.deepEqual(await holdersOf(neighbour, digest), [seeder.swarm.peerId]);
  seeder.holdings.drop(digest);
  await until(async () => (await holdersOf(neighbour, digest)).length === 0);
  for (const { log } of [meeting, seeder, seeker, neighbour]) {
    assert.deepEqual(
      log.filter((line) => JSON.stringify(line).includes(digest)),
      [],
    );
  }
});

for (const offence of ['garbage', 'lied'] as const) {
  test(`who is banned (${offence}) is told that it may be, once, and backs off`, async (t) => {
    const judge = await startPeer(t);
    const banned = await startPeer(t, { staticPeers: judge.swarm.addresses, redialMin: 50, redialMax: 100 });
    await until(() => isConnected(judge.swarm, banned.swarm));
    while (!judge.swarm.isBanned(banned.swarm.peerId)) judge.swarm.strike(banned.swarm.peerId, offence);
    const failures = () => banned.log.filter(({ failures }) => typeof failures === 'number');
    await until(() => failures().length >= 4);
    const warnings = failures().filter(({ level }) => level >= 40);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]?.msg ?? '', offence === 'lied' ? /cannot be reached/ : /or has banned it/);
  });
}

test('a look-up of what nobody holds ends, with the DHT too', async (t) => {
  const one = await startPeer(t, { dht: true });
  const two = await startConnected(t, [one], { dht: true });
  assert.deepEqual(await holdersOf(two, toDigest('sha256', blob(32))), []);
  // And when the caller's time is up, without throwing.
  const none: unknown[] = [];
  for await (const holder of two.swarm.holders(toDigest('sha256', blob(32)), AbortSignal.abort())) none.push(holder);
  assert.deepEqual(none, []);
});

test('an agent starts with the database of an earlier run, or with a damaged one', async (t) => {
  const datastorePath = join(await temporaryDirectory(t), 'peers.sqlite');
  const first = await startPeer(t, { datastorePath, dht: true });
  const other = await startConnected(t, [first], { dht: true });
  first.holdings.hold(blob(10));
  await first.swarm.stop();
  const second = await startPeer(t, { datastorePath, dht: true, identityPath: first.identityPath });
  await second.swarm.stop();
  await writeFile(datastorePath, 'damaged'.repeat(1_000));
  const third = await startPeer(t, { datastorePath, dht: true, listen: [`/ip4/${nextAddress()}/tcp/0`] });
  assert.ok(third.swarm.addresses.length > 0);
  assert.ok(other.swarm.peerId);
});
