import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Space } from '../../test/lan/network.ts';
import { bytesOf, generatedContent } from '../../test/support/content.ts';
import type { FleetAgent } from './agents.ts';
import type { Published } from './registry.ts';
import { startTalker, type Talker } from './talker.ts';

/** Built as the protocol's document has it, for everything that a fleet says to each other. */
const PROGRAM = fileURLToPath(new URL('../../test/support/hostile-peer.ts', import.meta.url));

/**
 * What hostile hosts do, by the names that rows use, and what their program calls it. It is given `--behaviour`, `--listen MULTIADDR`, `--dial MULTIADDR` for
 * each agent, `--file BLOB` for each layer, `--key FILE` where there is a network key, `--identity FILE` where it is to
 * coordinate (as an agent keeps it), and prints one line of JSON with its `peerId` when it is there.
 */
export const BEHAVIOURS = {
  'wrong-chunks': 'flip',
  'one-wrong-in-twenty': 'flip-some',
  'false-map': 'false-map',
  stall: 'stall',
  'claims-all': 'missing',
  dribble: 'dribble',
  garbage: 'garbage',
  refuses: 'refuse-all',
  grants: 'grant-all',
  names: 'name-nobody',
  'fifty-identities': 'fifty',
} as const;

export type HostileBehaviour = keyof typeof BEHAVIOURS;

export interface HostileInit {
  readonly space: Space;
  readonly behaviour: HostileBehaviour;
  readonly dial: readonly string[];
  readonly files: readonly string[];
  readonly networkKeyFile?: string;
  readonly identity?: string;
  readonly log: string;
}

export interface HostileHost {
  readonly peerId: string;
  readonly talker: Talker;
}

/** Starts one in place of an agent. */
export async function startHostile(init: HostileInit): Promise<HostileHost> {
  const argv = [
    ...init.space.enter,
    process.execPath,
    PROGRAM,
    ...['--behaviour', BEHAVIOURS[init.behaviour]],
    ...['--listen', `/ip4/${init.space.address}/tcp/4055`],
    ...init.dial.flatMap((address) => ['--dial', `/ip4/${address}/tcp/4055`]),
    ...init.files.flatMap((path) => ['--file', path]),
    ...(init.networkKeyFile === undefined ? [] : ['--key', init.networkKeyFile]),
    ...(init.identity === undefined ? [] : ['--identity', init.identity]),
  ];
  const talker = startTalker(argv, init.log);
  try {
    const { peerId } = await talker.hear<{ peerId: string }>();
    return { peerId, talker };
  } catch (error) {
    await talker.end();
    throw error;
  }
}

/** The layers as files, for programs that claim to hold them. */
export async function writeLayers(image: Published, dir: string): Promise<string[]> {
  return Promise.all(
    image.spec.map(async ({ seed, size }, at) => {
      const path = join(dir, `layer${at}`);
      await writeFile(path, bytesOf(generatedContent(seed, size)));
      return path;
    }),
  );
}

/** How many blobs in an agent's store are not what their names say. */
export async function countFalseBlobs({ store }: FleetAgent): Promise<number> {
  const dir = join(store, 'blobs/sha256');
  let wrong = 0;
  for (const name of await readdir(dir).catch(() => [])) {
    const hash = createHash('sha256');
    for await (const piece of createReadStream(join(dir, name))) hash.update(piece);
    if (hash.digest('hex') !== name) wrong++;
  }
  return wrong;
}

/** "3 of 15": of all pairs of an honest host and a liar, those where the honest one bans it or holds strikes against it. */
export async function countShutOut(honest: readonly FleetAgent[], liars: readonly string[]): Promise<string> {
  let shut = 0;
  for (const agent of honest) {
    const { peers } = await agent.status();
    shut += peers.filter(
      ({ id, state, strikes }) => liars.includes(id ?? '') && (state === 'banned' || strikes > 0),
    ).length;
  }
  return `${shut} of ${honest.length * liars.length}`;
}
