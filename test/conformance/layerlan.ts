import { algorithmOf } from '../../protocol/digest.ts';
import { startHost } from '../support/host.ts';
import { startUpstreamRegistry } from '../support/upstream-registry.ts';
import { DENIED_REPOSITORY, OLD_REGISTRY, type Target } from './target.ts';

/** An agent in front of two registries: docker.io, and one that knows of no referrers. */
export async function startLayerlan(): Promise<Target> {
  const upstream = await startUpstreamRegistry();
  const old = await startUpstreamRegistry({ referrers: false });
  const host = await startHost({
    upstream: upstream.url,
    config: {
      registries: {
        'docker.io': { endpoints: [upstream.url], deny: [DENIED_REPOSITORY] },
        [OLD_REGISTRY]: { endpoints: [old.url] },
      },
    },
  });
  const behind = (repository: string) => {
    const isOld = repository.startsWith(`${OLD_REGISTRY}/`);
    return { registry: isOld ? old : upstream, name: isOld ? repository.slice(OLD_REGISTRY.length + 1) : repository };
  };
  const { hostname, port } = new URL(host.mirror);
  return {
    name: 'layerlan',
    host: hostname,
    port: Number(port),
    async addBlob(repository, bytes, digest) {
      const { registry, name } = behind(repository);
      registry.addBlob(name, bytes, algorithmOf(digest));
    },
    async addManifest(repository, { mediaType, bytes, digest }, tag) {
      const { registry, name } = behind(repository);
      registry.addManifest(name, mediaType, bytes, tag, algorithmOf(digest));
    },
    misbehave: (fault) => upstream.misbehave(fault),
    async close() {
      await host.stop();
      await Promise.all([upstream.close(), old.close()]);
    },
  };
}
