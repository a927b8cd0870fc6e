import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { attempt, must } from './commands.ts';
import type { Machine } from './lab.ts';
import { LAB_DIR } from './place.ts';

/** A machine's /etc, as its own processes see it. */
export interface OwnEtc {
  /** A file's content; undefined where there is none. */
  read(path: string): Promise<string | undefined>;
  /** Every file below a folder with its mode, its owner and the hash of its content, and every folder. */
  fingerprint(folder: string): Promise<string>;
}

/** $1 is a folder of files to begin with, $2 one to mount on. In memory, since an overlay cannot write to another. */
const MOUNT = `
  mount -t tmpfs tmpfs "$2" && mkdir "$2/upper" "$2/work" &&
  mount -t overlay overlay -o "lowerdir=/etc,upperdir=$2/upper,workdir=$2/work" /etc &&
  cp -r --preserve=mode "$1/." /etc/`;

const FINGERPRINT =
  'find "$1" \\( -type d -printf "%p\\n" \\) -o \\( -type f -printf "%m %u " -exec sha256sum {} \\; \\) | sort';

/**
 * Gives a machine an /etc that it can write to: this host's, with what is written kept apart. Once for a machine, and
 * before anything runs there.
 * @param files by their paths, which begin with `/etc/`
 */
export async function giveOwnEtc(machine: Machine, files: Readonly<Record<string, string>>): Promise<OwnEtc> {
  const { space, dir } = machine;
  const [given, mounted] = [join(dir, 'etc'), join(dir, 'etc-mounted')];
  await Promise.all([mkdir(given), mkdir(mounted)]);
  // What the lab has mounted over single files is hidden by what is mounted over /etc.
  for (const name of ['resolv.conf', 'hosts']) await copyFile(join(LAB_DIR, 'etc', name), join(given, name));
  for (const [path, content] of Object.entries(files)) {
    const file = join(dir, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode: 0o640 });
  }
  const shell = (script: string, ...args: string[]) => must([...space.enter, 'sh', '-c', script, 'sh', ...args]);
  await shell(MOUNT, given, mounted);
  return {
    read: async (path) => {
      const { code, stdout } = await attempt([...space.enter, 'cat', path]);
      return code === 0 ? stdout : undefined;
    },
    fingerprint: (folder) => shell(FINGERPRINT, folder),
  };
}
