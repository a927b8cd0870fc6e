import { AgentError } from '../errors.ts';
import type { Swarm } from './ports.ts';

/**
 * A LAN with nobody on it. What came, or may come, with credentials is taken as if this were the LAN: then nobody is
 * told of it, lent a lease on it or given a chunk of it, whatever else the fetch role learns to tell. Nobody is asked
 * for it either, so that no peer hears its digest.
 */
export function nobody(swarm: Swarm): Swarm {
  return {
    hasNeighbours: false,
    isTrusted: false,
    async *holders() {},
    tellers: () => [],
    strike: () => {},
    isBanned: () => false,
    peerId: swarm.peerId,
    neighbours: () => [],
    tell: () => {},
    async chunk() {
      throw new AgentError('PEER_UNREACHABLE', 'there is nobody');
    },
    sign: (statement) => swarm.sign(statement),
    verify: (signer, statement, signature) => swarm.verify(signer, statement, signature),
    attend: () => {},
    tag: async () => undefined,
    tellTags: () => {},
  };
}
