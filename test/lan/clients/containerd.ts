import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, must } from '../commands.ts';
import { startProcess } from '../process.ts';
import { until } from '../until.ts';
import { nameText, PULL_TIMEOUT, type StartClient } from './client.ts';

/** Overlays do not stack. */
const SNAPSHOTTER = 'native';

/** Where a registry is when it is not behind a mirror; Docker Hub's API has a host of its own. */
const serverOf = (registry: string) => `https://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`;

export interface ContainerdInit {
  /** The folder of containerd and ctr. */
  readonly bin: string;
  /** Layers larger than `size` bytes are fetched in parts of it, so many at a time. @default never */
  readonly parts?: { readonly size: number; readonly atOnce: number };
  /** A directory of hosts.toml files, read as it is. @default one of its own, with the agent as mirror */
  readonly hosts?: string;
}

/** A containerd of its own, and ctr, with a hosts.toml a registry. */
export function containerd({ bin, parts, hosts: given }: ContainerdInit): StartClient {
  return async ({ space, dir, log, mirror, registries }) => {
    const hosts = given ?? join(dir, 'certs.d');
    for (const registry of given === undefined ? registries : []) {
      await mkdir(join(hosts, registry), { recursive: true });
      const toml = `server = "${serverOf(registry)}"\n\n[host."http://${mirror}"]\n  capabilities = ["pull", "resolve"]\n`;
      await writeFile(join(hosts, registry, 'hosts.toml'), toml);
    }
    const socket = join(dir, 'c.sock');
    const configuration = join(dir, 'containerd.toml');
    await writeFile(
      configuration,
      [
        'version = 2',
        `root = "${join(dir, 'root')}"`,
        `state = "${join(dir, 'state')}"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]',
        `[grpc]\n  address = "${socket}"`,
        `[ttrpc]\n  address = "${socket}.ttrpc"`,
        // It tells of each request.
        '[debug]\n  level = "debug"',
        '[plugins."io.containerd.transfer.v1.local"]',
        ...(parts === undefined
          ? []
          : [`  concurrent_layer_fetch_buffer = ${parts.size}`, `  max_concurrent_downloads = ${parts.atOnce}`]),
        '  [[plugins."io.containerd.transfer.v1.local".unpack_config]]',
        `    platform = "linux/amd64"\n    snapshotter = "${SNAPSHOTTER}"`,
      ].join('\n'),
    );
    const daemon = await startProcess({
      argv: [...space.enter, join(bin, 'containerd'), '--config', configuration],
      stdout: log,
    });
    const ctr = [...space.enter, join(bin, 'ctr'), '--address', socket];
    await until('containerd answers', async () => (await attempt([...ctr, 'version'])).code === 0, { timeout: 60_000 });
    return {
      pull: (name) =>
        attempt([...ctr, 'images', 'pull', '--hosts-dir', hosts, '--snapshotter', SNAPSHOTTER, nameText(name)], {
          timeout: PULL_TIMEOUT,
        }),
      imageId: async (name) => {
        const listed = await must([...ctr, 'images', 'ls', `name==${nameText(name)}`]);
        const [digest] = /sha256:[0-9a-f]{64}/.exec(listed) ?? [];
        if (digest === undefined) throw new Error(`ctr has no ${nameText(name)}: ${listed}`);
        return JSON.parse(await must([...ctr, 'content', 'get', digest])).config.digest;
      },
      stop: async () => {
        await daemon.stop();
      },
    };
  };
}
