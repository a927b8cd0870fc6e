import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt } from '../commands.ts';
import { nameText, PULL_TIMEOUT, type StartClient } from './client.ts';

/** crane knows no mirrors: it asks the agent itself, with the registry as first part of the path. */
export function crane(bin: string): StartClient {
  return async ({ space, dir, mirror }) => {
    const layout = join(dir, 'layout');
    await mkdir(dir, { recursive: true });
    const blob = async (digest: string) =>
      JSON.parse(await readFile(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
    return {
      pull: async (name) => {
        await rm(layout, { recursive: true, force: true });
        const argv = [
          ...space.enter,
          join(bin, 'crane'),
          'pull',
          '--format',
          'oci',
          `${mirror}/${nameText(name)}`,
          layout,
        ];
        return attempt(argv, { timeout: PULL_TIMEOUT });
      },
      imageId: async () => {
        const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));
        return (await blob(manifests[0].digest)).config.digest;
      },
      stop: async () => {},
    };
  };
}
