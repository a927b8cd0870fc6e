import { BUILDKIT_FOLDER, planBuildkit } from './buildkit.ts';
import { CONTAINERD_CERTS, planContainerd } from './containerd.ts';
import { DOCKER_CERTS, DOCKER_FOLDER, planDocker } from './docker.ts';
import { K3S_FOLDER, planK3s } from './k3s.ts';
import type { Client, Plan, Tree, Wanted } from './plan.ts';
import { dropInFolder, planPodman } from './podman.ts';

const PLANS: Record<Client, (wanted: Wanted, tree: Tree) => Plan> = {
  docker: planDocker,
  containerd: planContainerd,
  podman: planPodman,
  buildkit: planBuildkit,
  k3s: planK3s,
};

/** What `client` needs to come to the mirror. Pure, but for what it reads of `tree`. @throws AgentError SETUP_REFUSED */
export function planFor(client: Client, wanted: Wanted, tree: Tree): Plan {
  return PLANS[client](wanted, tree);
}

/** The directories in which setup may have written for `client`. */
export function foldersOf(client: Client, home: string | undefined, tree: Tree): string[] {
  const within = (folder: string) => tree.list(folder).map((name) => `${folder}/${name}`);
  switch (client) {
    case 'docker':
      return [DOCKER_FOLDER, ...within(DOCKER_CERTS)];
    case 'containerd':
      return within(CONTAINERD_CERTS);
    case 'podman':
      return [dropInFolder(home)];
    case 'buildkit':
      return [BUILDKIT_FOLDER];
    case 'k3s':
      return [K3S_FOLDER];
  }
}
