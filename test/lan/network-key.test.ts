import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LogLine, layerlan, peerId } from './agent.ts';
import { since } from './counters.ts';
import { type Host, labTest, untilConnected } from './lab.ts';
import { LAB_DIR } from './place.ts';
import { percent, pullRight } from './pull.ts';

/** How long strangers get to dial each other, again and again. Milliseconds. */
const WATCHED = 15_000;

/** More attempts than this in {@link WATCHED} are no backing off. */
const MOST_DIALS = 10;

labTest('8. with a network key and without: the handshake fails, and nothing is exchanged', async (lab) => {
  const { base } = lab.images;
  const key = await makeKey();
  const open = await lab.addHost();
  // The key changes what is announced by mDNS too, so strangers would not even dial: each is told of the other.
  const keyed = await lab.addHost({ networkKeyFile: key, static: [address(open)] });
  const other = await lab.addHost({ static: [address(keyed)] });
  await open.agent.start();
  await pullRight(open, base);

  await keyed.agent.start();
  const dials = since(keyed.space.counters.connects);
  await sleep(WATCHED);
  const tried = dials();
  const told = (await keyed.agent.log()).filter((line) => isAboutDial(line, open));
  lab.note(`${tried} attempts in ${WATCHED / 1000} s, ${told.length} lines: ${told.map((line) => line.msg)}`);
  assert.ok(tried > 1 && tried <= MOST_DIALS, `${tried} attempts`);
  assert.equal(told.length, 1, 'the dialler logs once');

  const uplink = since(lab.network.upstream.counters.sent);
  await pullRight(keyed, base);
  lab.note(`${percent(uplink(), base.size)} of the image crossed the uplink again`);
  assert.ok(uplink() >= base.size, 'content came from a stranger');

  // And the other way round: one without a key dials one that has it and holds everything.
  await other.agent.start();
  await assert.doesNotReject(untilConnected(open.agent, other.agent));
  await areStrangers(keyed, open);
  await areStrangers(keyed, other);
  assert.equal(await keyed.agent.metric('layerlan_served_bytes_total'), 0);
  assert.equal(await keyed.agent.metric('layerlan_peer_bytes_total'), 0);
});

labTest('8. agents with the same key find each other and exchange', async (lab) => {
  const { base } = lab.images;
  const key = await makeKey();
  const [first, second] = [await lab.addHost({ networkKeyFile: key }), await lab.addHost({ networkKeyFile: key })];
  await Promise.all([first.agent.start(), second.agent.start()]);
  await untilConnected(first.agent, second.agent);
  await pullRight(first, base);
  const uplink = since(lab.network.upstream.counters.sent);
  const took = await pullRight(second, base);
  lab.note(`pulled in ${took.toFixed(1)} s; ${percent(uplink(), base.size)} of the image crossed the uplink`);
  assert.ok(uplink() < base.size / 100, `${uplink()} bytes crossed the uplink`);
});

labTest('8. a key that is too short is refused', async (lab) => {
  const key = join(LAB_DIR, 'short.key');
  await writeFile(key, `${'5e'.repeat(16)}\n`, { mode: 0o600 });
  const host = await lab.addHost({ networkKeyFile: key });
  const { code, stdout, stderr } = await host.agent.command('start');
  assert.equal(code, 2, stderr + stdout);
  const told = (stderr + stdout).trim();
  assert.equal(told.split('\n').length, 1, told);
  assert.ok(told.includes(key), told);
  assert.match(told, /peers\.networkKeyFile/);
});

/** `layerlan key FILE`, on no host in particular. */
async function makeKey(): Promise<string> {
  const file = join(LAB_DIR, 'fleet.key');
  await rm(file, { force: true });
  const { code, stdout, stderr } = await layerlan('key', file);
  assert.equal(code, 0, stderr);
  assert.equal((await stat(file)).mode & 0o777, 0o600, 'others may read the key');
  assert.ok(!(stdout + stderr).includes((await readFile(file, 'utf8')).trim()), 'the key was printed');
  return file;
}

/** Where a host's agent listens for peers. */
function address(host: Host): string {
  return `/ip4/${host.space.address}/tcp/4055`;
}

/** Whether a line tells, at warn or above, of something that went wrong with a host's agent. */
function isAboutDial(line: LogLine, host: Host): boolean {
  return line.level >= 40 && JSON.stringify(line).includes(host.space.address);
}

/** Neither is connected to the other, nor knows anything of it but where it was told to dial. */
async function areStrangers(one: Host, two: Host): Promise<void> {
  for (const [host, stranger] of [
    [one, two],
    [two, one],
  ] as const) {
    const id = await peerId(stranger.agent);
    const known = (await host.agent.peers()).filter(
      (peer) => peer.id === id || peer.addresses.some((text) => text.includes(`/${stranger.space.address}/`)),
    );
    for (const peer of known) assert.ok(peer.state !== 'connected' && (peer.blobs ?? 0) === 0, JSON.stringify(peer));
  }
}
