import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Space } from '../../test/lan/network.ts';
import { bytesOf, generatedContent } from '../../test/support/content.ts';
import type { FleetAgent } from './agents.ts';
import type { Published } from './registry.ts';
import { startTalker } from './talker.ts';

const PROGRAM = fileURLToPath(new URL('../programs/hostile-host.ts', import.meta.url));

interface Conduct {
  /** What the program calls it: a behaviour of test/support/hostile-words.ts or hostile-behaviours.ts. */
  readonly as: string;
  /** How many identities the host has. @default 1 */
  readonly identities?: number;
  /** Whether it is given the layers: it claims to hold them, or gives true chunks beside false ones. @default false */
  readonly holds?: true;
}

/** What hostile hosts do, by the names that rows use. */
export const BEHAVIOURS = {
  'wrong-chunks': { as: 'lies' },
  // Signed, and of no map: who takes it cannot tell before the whole is there.
  'one-wrong-in-twenty': { as: 'slips', holds: true },
  'forged-names': { as: 'forges' },
  'false-map': { as: 'false-map', holds: true },
  stall: { as: 'stalls' },
  'claims-all': { as: 'empty' },
  'holds-all': { as: 'boasts' },
  'holds-all-busy': { as: 'puts-off' },
  dribble: { as: 'dribble', holds: true },
  garbage: { as: 'garbage', holds: true },
  hoards: { as: 'hoards' },
  'makes-up': { as: 'makes-up' },
  accuses: { as: 'accuses' },
  refuses: { as: 'refuses' },
  grants: { as: 'grants' },
  names: { as: 'names' },
  'fifty-identities': { as: 'lies', identities: 50 },
} as const satisfies Record<string, Conduct>;

export type HostileBehaviour = keyof typeof BEHAVIOURS;

export interface HostileInit {
  readonly space: Space;
  readonly behaviour: HostileBehaviour;
  /** Addresses of the agents. */
  readonly dial: readonly string[];
  /** The image's layers. */
  readonly files: readonly string[];
  readonly networkKeyFile?: string;
  /** The blob it is to coordinate, and among whom. */
  readonly leads?: { readonly digest: string; readonly among: readonly string[] };
  readonly log: string;
}

/** Chunks that liars were asked for: by liar, by who asked. */
export type Asked = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface HostileHost {
  readonly peerIds: readonly string[];
  /** How many chunks its identities have been asked for, by whom: a liar that nobody asks shows nothing. */
  asked(): Promise<Asked>;
  end(): Promise<void>;
}

/** Starts one in place of an agent, and waits until it is connected to all. */
export async function startHostile(init: HostileInit): Promise<HostileHost> {
  const { as, identities = 1, holds }: Conduct = BEHAVIOURS[init.behaviour];
  const order = {
    behaviour: as,
    count: identities,
    address: init.space.address,
    dial: init.dial,
    files: holds === true ? init.files : [],
    ...(init.networkKeyFile !== undefined && { networkKeyFile: init.networkKeyFile }),
    ...(init.leads !== undefined && { leads: init.leads }),
  };
  const talker = startTalker([...init.space.enter, process.execPath, PROGRAM, JSON.stringify(order)], init.log);
  try {
    const { peerIds } = await talker.hear<{ peerIds: string[] }>();
    const asked = async () => {
      talker.say({ asked: true });
      return (await talker.hear<{ asked: Asked }>()).asked;
    };
    return { peerIds, asked, end: () => talker.end() };
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

/** Whom liars have harmed, and who knows it. Each pair is an honest host and a liar. */
export interface ShutOut {
  readonly pairs: number;
  /** Where the honest one bans the liar or holds strikes against it. */
  readonly shut: number;
  /** Where it does not, though it asked the liar for more than {@link TAKEN_BACK} chunks. */
  readonly trusted: number;
}

/** So many requests may have been taken back before there was an answer to hold against anybody. */
const TAKEN_BACK = 2;

/** @param asked what each liar was asked for, by whom */
export async function countShutOut(honest: readonly FleetAgent[], asked: Asked): Promise<ShutOut> {
  const liars = Object.entries(asked);
  let [shut, trusted] = [0, 0];
  for (const agent of honest) {
    const { peers } = await agent.status();
    const isShut = ({ id, state, strikes }: (typeof peers)[number]) =>
      id !== null && id in asked && (state === 'banned' || strikes > 0);
    const out = new Set(peers.filter(isShut).map(({ id }) => id));
    shut += out.size;
    trusted += liars.filter(([liar, by]) => !out.has(liar) && (by[agent.peerId] ?? 0) > TAKEN_BACK).length;
  }
  return { pairs: honest.length * liars.length, shut, trusted };
}
